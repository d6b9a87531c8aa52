"""What a license is on the wire: EME's JSON, the sealed form, JOSE. Runs in either process; no I/O of its own."""
