"""What a component is allowed to be: manifests of verified bytes. Imports nothing."""
