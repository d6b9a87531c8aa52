"""The database: keys, contents, devices, tokens, audit log. The license server alone."""
