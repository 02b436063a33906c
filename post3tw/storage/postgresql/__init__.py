"""What an index, a blob store and a backend on PostgreSQL share. Imported only when that backend is chosen."""
