"""A transform of a test."""
