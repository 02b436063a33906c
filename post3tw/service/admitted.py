"""What an operation may rely on once its caller was admitted."""

from __future__ import annotations

from post3tw.model.bucket import Bucket
from post3tw.model.errors import AccessDenied
from post3tw.model.identity import Caller, Identity


def admitted_bucket(caller: Caller) -> Bucket:
    """The bucket that the decision was about."""
    if caller.admission is None or caller.admission.bucket is None:
        raise AccessDenied()
    return caller.admission.bucket


def admitted_source(caller: Caller) -> Bucket:
    """The bucket that a copy reads from."""
    if caller.admission is None or caller.admission.source is None:
        raise AccessDenied()
    return caller.admission.source


def admitted_identity(caller: Caller) -> Identity:
    """Who was admitted, when it cannot have been nobody."""
    if caller.admission is None or caller.identity is None:
        raise AccessDenied()
    return caller.identity
