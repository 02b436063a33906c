"""What `post3 policy explain` is asked: who, what, for which resource, under which circumstances."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from attrs import frozen

from post3tw.model.errors import MalformedPolicy
from post3tw.model.identity import Identity
from post3tw.service.identities import read_identities, root_credential
from post3tw.service.policy.actions import BUCKET_ACTIONS, OBJECT_ACTIONS, actions_named
from post3tw.service.policy.keys import canonical_key


class BadQuestion(Exception):
    """The question makes no sense. The text is one clear line."""


@frozen
class Question:
    """Who wants to do what, and where the answer is looked for.

    Attributes:
        identity: who asks, None for an anonymous caller.
        action: for what.
        tenant: the namespace that the bucket is in.
        bucket: its name.
        key: of the object; None for the bucket itself.
        version_id: of which version of the object; None for the latest.
        upload_id: of which upload, for actions on one.
        given: values of condition keys, by canonical name.
        policy: what to take for the bucket's policy; None for the one it has.
        owner: whose bucket it is to be; None to look into the data directory.
        data_dir: where.
    """

    identity: Identity | None
    action: str
    tenant: str
    bucket: str
    key: str | None
    version_id: str | None
    upload_id: str | None
    given: Mapping[str, tuple[str, ...]]
    policy: bytes | None
    owner: Identity | None
    data_dir: Path


def complaint(error: MalformedPolicy) -> str:
    """What S3 says of a policy, with the word and the statement that it is about."""
    return ", ".join([error.message, *getattr(error, "__notes__", ())])


def question_of(options: argparse.Namespace) -> Question:
    """The question of a command line.

    Raises:
        BadQuestion: no such action, user or condition key; an action that is not about this kind of resource.
        IdentitiesRefused: the identities file cannot be used.
        OSError: the policy's file cannot be read.
    """
    if options.owner is not None and options.policy is None:
        raise BadQuestion("--owner needs --policy: without a data directory there is nothing else to decide by")
    if not options.user:
        raise BadQuestion("--as is empty: an id or access key, root, or anonymous")
    identity = None if options.user == "anonymous" else _identity(options.user, options.identities)
    tenant, bucket, key = _resource(options.resource, identity.tenant if identity is not None else "")
    return Question(
        identity,
        _action(options.action, key),
        tenant,
        bucket,
        key,
        options.version_id,
        options.upload_id,
        _given(options.context),
        None if options.policy is None else Path(options.policy).read_bytes(),
        None if options.owner is None else _identity(options.owner, options.identities),
        Path(options.data_dir),
    )


def _identity(named: str, identities: str) -> Identity:
    """The user of an id or access key; without an identities file whoever is named, in the unnamed tenant."""
    root = root_credential(named, "").identity
    if named == root.user_id:
        return root
    if not identities:
        return Identity(named, named, "")
    known = [credential.identity for credential in read_identities(Path(identities)).values()]
    for identity in known:
        if named in (identity.user_id, identity.access_key):
            return identity
    users = ", ".join(sorted({identity.user_id for identity in known}))
    raise BadQuestion(f"{identities} has no user {named}; there are: root, {users}")


_RESOURCE: Final = re.compile(
    r"(?:arn:aws:s3::(?P<account>[\w-]*):|s3://)?(?:(?P<tenant>[\w-]*):)?(?P<bucket>[^:/*?]+)(?:/(?P<key>.+))?",
    re.ASCII | re.DOTALL,
)


def _resource(text: str, own_tenant: str) -> tuple[str, str, str | None]:
    """Tenant, bucket and key of an ARN, of s3://BUCKET/KEY, or of BUCKET/KEY; in place of BUCKET may stand
    TENANT:BUCKET, as in requests."""
    found = _RESOURCE.fullmatch(text)
    if found is None:
        raise BadQuestion(f"{text} is neither arn:aws:s3:::BUCKET nor arn:aws:s3:::BUCKET/KEY")
    tenant = found["tenant"] if found["tenant"] is not None else found["account"] or own_tenant
    return tenant, found["bucket"], found["key"]


def _action(text: str, key: str | None) -> str:
    named = actions_named(text)
    if len(named) != 1:
        raise BadQuestion(f"{text} is not one action of S3, such as s3:GetObject")
    (action,) = named
    if action not in (BUCKET_ACTIONS if key is None else OBJECT_ACTIONS):
        raise BadQuestion(f"{action} is not about {'a bucket' if key is None else 'an object'}")
    if action == "s3:CreateBucket":
        raise BadQuestion("a bucket that is yet to be created has no policy: every user may create it")
    return action


def _given(texts: Iterable[str]) -> dict[str, tuple[str, ...]]:
    given: dict[str, tuple[str, ...]] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        key = canonical_key(name)
        if key is None or not equals:
            raise BadQuestion(f"--context {text}: not a condition key with its value, such as s3:prefix=home/")
        given[key] = (*given.get(key, ()), value)
    return given
