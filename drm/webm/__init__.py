"""WebM by hand over a bounded reader, encrypted and clear: elements, tracks, blocks, and the samples that they make."""
