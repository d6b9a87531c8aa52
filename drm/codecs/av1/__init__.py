"""AV1: sequence and frame headers. Opens no files."""
