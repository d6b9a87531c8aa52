"""Which bytes of a sample stay clear, by codec: bytes in, ranges out. Developer verbs; opens no files."""
