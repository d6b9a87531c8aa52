"""What verbs do with an MPD or an HLS playlist instead of a file."""
