"""Media source that reads MP4. Runs in the worker, from verified bytes."""
