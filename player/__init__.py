"""The `clearkey` command and the reference player."""
