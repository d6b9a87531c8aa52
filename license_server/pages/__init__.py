"""The web pages of the license server: Jinja templates and plain ES modules, nothing to build."""
