"""Sink that counts frames and lets nothing out. Runs in the worker, from verified bytes."""
