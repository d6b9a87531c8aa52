"""The WebM media source component."""
