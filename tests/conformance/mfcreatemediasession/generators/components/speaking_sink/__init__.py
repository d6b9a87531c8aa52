"""A sink that says something by itself."""
