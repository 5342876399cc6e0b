"""The objective: one trial from its suggested architecture to its values."""
