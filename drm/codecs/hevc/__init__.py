"""H.265: parameter sets and slice headers, for what of them stays clear. Developer verbs; opens no files."""
