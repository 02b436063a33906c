"""The index on SQLite."""
