"""What the model does not say, or says otherwise than AWS answers. By hand, with reasons."""

from __future__ import annotations

DROPPED = frozenset({"GetBucketLifecycle", "GetBucketNotification", "PutBucketLifecycle", "PutBucketNotification"})
"""Deprecated operations with the same method and path as their successors."""
