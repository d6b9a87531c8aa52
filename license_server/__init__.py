"""The Clear Key license server: EME Clear Key over HTTP, plain and sealed, from a store of wrapped keys."""
