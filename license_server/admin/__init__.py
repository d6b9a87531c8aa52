"""The administrator's HTTP API: what `clearkey keys` does to a store, from elsewhere. The license server alone."""
