"""WebM by hand over a bounded reader: elements, tracks, blocks, samples. Runs in either process. Imports nothing."""
