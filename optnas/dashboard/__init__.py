"""Optuna's dashboard for a study, kept up to date with figures, notes and artifacts."""
