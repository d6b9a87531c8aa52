"""A sink of a test: writes as a program that knows nothing of workers would."""
