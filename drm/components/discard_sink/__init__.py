"""Sink that counts frames and lets nothing out."""
