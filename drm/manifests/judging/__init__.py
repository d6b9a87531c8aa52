"""What plays a manifest, and what in it contradicts what. Pure questions; developer verbs, license server."""
