"""Sink that lets out a hash of each frame, in FFmpeg's framemd5 format."""
