"""The index on PostgreSQL, and on databases that speak its language. The theory of operation is at the head of
`index`."""
