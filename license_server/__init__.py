"""The Clear Key license server."""
