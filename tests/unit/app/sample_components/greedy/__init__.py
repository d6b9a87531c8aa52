"""A component of the tests."""
