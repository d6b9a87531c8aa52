"""The public face of the platform. Runs in the application, never in the worker."""
