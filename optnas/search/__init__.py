"""A search: its settings, its study, its run, and the study file that defines it."""
