"""Sink that lets out a hash of each frame, as FFmpeg's framemd5 writes it. Runs in the worker, from verified bytes."""
