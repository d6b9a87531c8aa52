"""Sink whose output takes its time to set a policy."""
