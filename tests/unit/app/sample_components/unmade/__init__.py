"""A component of a test that cannot be made."""
