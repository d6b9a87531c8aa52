"""A quality manager of a test."""
