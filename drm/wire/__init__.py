"""What the application and the PMP worker say to each other. Imports nothing."""
