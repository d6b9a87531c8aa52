"""A topology loader of a test."""
