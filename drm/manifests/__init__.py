"""MPD and HLS, written and rewritten: bytes in, bytes out. Never in the worker."""
