"""Common Encryption (ISO/IEC 23001-7): schemes and engines. Runs in either process. Imports nothing."""
