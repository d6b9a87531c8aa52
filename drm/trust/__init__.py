"""Whether a component may run: manifests, signed metadata, revocations. Runs in either process. Imports nothing."""
