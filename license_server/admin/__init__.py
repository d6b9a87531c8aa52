"""The administrator's HTTP API: what `clearkey keys` does to a store, for programs that do not run beside it."""
