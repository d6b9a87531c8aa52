"""Who gets which keys, and why not. The license server alone."""
