"""The Clear Key content-protection component. It runs only from verified bytes (`drm.loader`)."""
