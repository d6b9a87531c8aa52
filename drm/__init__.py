"""The platform: a protected media path. Imports nothing; the public face is `drm.app`."""
