"""Starts PMP workers, for the application and for the service; and the key that a worker signs with."""
