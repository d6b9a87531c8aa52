"""H.264: parameter sets and slice headers. Opens no files."""
