"""The PMP worker: runs in that process alone. Imports nothing."""
