"""Open files: every connection is one, and so is every blob being read or written; the usual soft limit is 1024."""

from __future__ import annotations

import resource
import sys

_OURS = 128
"""Open files that are neither: the index, logs, ports, threads' own, with room to spare."""


def raise_descriptor_limit() -> int:
    """Raise this process's soft limit of open files to its hard limit; the number in force afterwards."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):
            return soft  # some systems name a hard limit that they do not grant
    return hard


def most_connections(wanted: int, requests: int, descriptors: int) -> int:
    """How many connections can be had without a request ever finding no descriptor left for its blob.

    Args:
        wanted: no more than this.
        requests: served at a time, each with a blob open.
        descriptors: the limit of open files.
    """
    room = max(descriptors - _OURS, 2)
    return min(wanted, max(room // 2, room - requests))


def descriptor_limit() -> int:
    """What `raise_descriptor_limit` raises to."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return sys.maxsize if hard == resource.RLIM_INFINITY else hard
