"""Open files: every connection and every blob being read is one, and the usual soft limit is 1024."""

from __future__ import annotations

import resource


def raise_descriptor_limit() -> int:
    """Raise this process's soft limit of open files to its hard limit; the number in force afterwards."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):
            return soft  # some systems name a hard limit that they do not grant
    return hard
