"""The lock-down of a process by itself, and the probes that say whether it holds. Worker; standard library alone."""
