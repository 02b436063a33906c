"""Blob stores: immutable byte strings under ids that we make."""
