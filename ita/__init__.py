"""The Clear Key content-protection component. It runs from verified bytes alone (`drm.loader`), in the worker."""
