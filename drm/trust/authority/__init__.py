"""Signing, on the publisher's side: never part of a worker. Imports nothing."""
