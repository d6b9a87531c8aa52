"""Content enablers and the managers that drive them. The application alone."""
