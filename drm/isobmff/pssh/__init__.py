"""The `pssh` box of each protection system: whose it is, and which keys it names. Runs in either process; no I/O of its own."""
