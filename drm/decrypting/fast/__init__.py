"""The way of decryption that starts fast: few imports, no classes of the platform. For developer verbs alone."""
