"""Keys as people and tools write them. Never in the worker."""
