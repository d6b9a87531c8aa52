"""Manifests and segments fetched, read ahead and queued for the application's session."""
