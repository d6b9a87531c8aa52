"""One file per verb of the `clearkey` command; each is imported only when it is called."""
