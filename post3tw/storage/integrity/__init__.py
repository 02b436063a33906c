"""Whether what is stored is what was stored: the bytes, and the rows that say what they are."""
