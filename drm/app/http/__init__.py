"""Everything that opens a connection. The application alone."""
