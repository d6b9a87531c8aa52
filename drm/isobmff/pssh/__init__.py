"""The `pssh` box of each protection system: whose it is, which keys it names. Runs in either process; does no I/O."""
