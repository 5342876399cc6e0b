"""Where studies live: a URL becomes an Optuna storage that survives kills and many workers."""
