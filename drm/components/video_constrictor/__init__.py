"""Transform that scales pictures down to what a license lets out. Runs in the worker, from verified bytes."""
