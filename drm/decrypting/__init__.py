"""Encrypted file to clear file. For developer verbs alone."""
