"""Presentations, periods and segments of DASH and HLS: arithmetic without I/O, for either process."""
