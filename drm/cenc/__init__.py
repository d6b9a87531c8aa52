"""Common Encryption (ISO/IEC 23001-7): schemes and engines. Imports nothing."""
