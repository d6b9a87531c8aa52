"""Claims of speed, each measured beside its yardstick in one run: ratios count, absolute figures do not."""
