"""The backends that come with post3tw, one line each; their modules are imported only when used."""

from post3tw.storage.backends import LazyBackend

fs = LazyBackend("fs", "Local files and SQLite; nothing else to install.", "post3tw.storage.fs.FileBackend")
