"""Frozen values and domain errors. Knows no HTTP, no SQL, no Twisted: everyone may import it."""
