"""What plays a manifest, and what in it contradicts what. Pure questions, for developer verbs and the license server."""
