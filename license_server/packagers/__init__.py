"""The key server for packagers. The license server alone."""
