"""Media source that reads WebM. Runs in the worker, from verified bytes."""
