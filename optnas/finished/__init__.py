"""Uses of a finished trial's network: decode, load, measure, confirm, retrain."""
