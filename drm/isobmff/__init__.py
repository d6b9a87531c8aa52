"""ISO base media file format, read by hand over a bounded reader. Imports nothing."""
