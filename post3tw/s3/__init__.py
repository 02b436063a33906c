"""HTTP in, HTTP out: S3 as the clients speak it. Knows no storage."""
