"""post3tw: an S3-compatible object store on Twisted. Start with docs/architecture.md."""

__version__ = "0.1.0"
