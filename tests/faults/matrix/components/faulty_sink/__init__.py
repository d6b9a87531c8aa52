"""A sink that goes wrong in one method, in one way."""
