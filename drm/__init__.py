"""The platform: a protected media path, in two processes. Imports nothing; the public face is `drm.app`."""
