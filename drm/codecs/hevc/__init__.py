"""H.265: parameter sets and slice headers. Opens no files."""
