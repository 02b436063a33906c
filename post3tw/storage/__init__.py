"""Bytes and rows: the transactional index and the blob stores. Knows no HTTP, no XML, no S3 error codes."""
