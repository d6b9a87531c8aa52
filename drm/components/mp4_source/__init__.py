"""The MP4 media source component."""
