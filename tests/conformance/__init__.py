"""Ceph's s3-tests against a running post3tw, and the list of those that pass."""
