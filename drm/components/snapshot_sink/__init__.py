"""Sink that lets out one PNG: a single picture or a contact sheet."""
