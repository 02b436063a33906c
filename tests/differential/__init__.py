"""The same random requests to two servers with different backends: their answers must be the same."""
