"""ISO base media file format, read by hand over a bounded reader. Runs in either process. Imports nothing."""
