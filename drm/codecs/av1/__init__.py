"""AV1: sequence and frame headers, and what of a frame stays clear. Developer verbs; opens no files."""
