"""The backends that come with post3tw, one line each; their modules are imported only when used."""

from post3tw.storage.backends import LazyBackend

fs = LazyBackend("fs", "Local files and SQLite; nothing else to install.", "post3tw.storage.fs.FileBackend")
postgres = LazyBackend(
    "postgres", "PostgreSQL, shared by any number of nodes.", "post3tw.storage.postgresql.backend.PostgresBackend"
)
