"""Sink that lets out one PNG: a picture or a contact sheet. Runs in the worker, from verified bytes."""
