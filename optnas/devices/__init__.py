"""CPUs and GPUs: their names, and how processes share them."""
