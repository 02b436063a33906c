"""Copies of a store in a directory, and the way back."""
