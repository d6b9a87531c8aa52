"""What is served beside Flask's own views. The license server alone."""
