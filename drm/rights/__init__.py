"""What authorities, outputs and enablers say to one another. Runs in either process; no I/O of its own."""
