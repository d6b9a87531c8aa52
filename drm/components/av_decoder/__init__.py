"""Decoder over FFmpeg's libavcodec (PyAV)."""
