"""The server put together: Flask application, processes, sockets, TLS. The license server alone."""
