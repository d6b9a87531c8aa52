"""Encrypt a file with Common Encryption. Imports nothing."""
