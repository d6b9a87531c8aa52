"""Level 3: the broker that runs PMP workers under an account of its own. A process of its own."""
