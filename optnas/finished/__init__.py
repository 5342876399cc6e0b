"""What is done with a finished trial's network: decode, measure, confirm, retrain."""
