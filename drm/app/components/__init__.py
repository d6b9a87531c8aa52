"""Trusted components: fetched, kept and handed over. The application alone."""
