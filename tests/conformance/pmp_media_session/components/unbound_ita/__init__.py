"""Input trust authority that grants everything and then cannot bind it."""
