"""The S3 rules: one method per operation, typed input in, typed output out. Knows no HTTP."""
