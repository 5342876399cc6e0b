"""What optnas reads and writes in an Optuna study."""
