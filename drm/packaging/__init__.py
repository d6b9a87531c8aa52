"""DASH and HLS out of clear files, and `pssh` boxes put into files. Developer verbs; never in the worker."""
