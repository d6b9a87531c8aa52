"""Clear MP4 file to encrypted MP4 file. Developer verbs and publishers; never in the worker."""
