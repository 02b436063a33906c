"""Servers on one PostgreSQL database: several nodes, a proxy before them, and everything that can go wrong behind."""
