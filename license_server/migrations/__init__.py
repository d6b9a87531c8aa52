"""The history of the tables, as alembic reads it."""
