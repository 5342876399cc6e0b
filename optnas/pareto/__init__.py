"""Dominance, the Pareto front of a study, its hypervolume, and the choice of a member."""
