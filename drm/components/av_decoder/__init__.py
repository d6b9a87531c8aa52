"""Decoder over FFmpeg's libavcodec (PyAV). Runs in the worker, from verified bytes."""
