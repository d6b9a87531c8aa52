"""The platform's components. They run only from verified bytes (`drm.loader`), never by plain import."""
