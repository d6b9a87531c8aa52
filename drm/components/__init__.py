"""The platform's components. They run from verified bytes alone (`drm.loader`), in the worker or a local session."""
