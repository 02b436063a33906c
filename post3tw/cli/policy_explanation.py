"""How `post3 policy explain` finds its answer and says it: by the same rules, context and decision as the server."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from attrs import define, field, frozen

from post3tw.cli.policy_question import BadQuestion, Question, complaint
from post3tw.model.bucket import Bucket
from post3tw.model.errors import InvalidArgument, KeyTooLong, MalformedPolicy, NoSuchUpload
from post3tw.model.identity import Caller, Identity
from post3tw.service.bucket_policies import POLICY_KIND
from post3tw.service.bucket_rules import BucketRules, rules_of
from post3tw.service.judge import OF_UPLOADS, object_access
from post3tw.service.keys import check_version_id, key_bytes
from post3tw.service.multipart import upload_id_bytes
from post3tw.service.policy.access import ABSENT, BucketAccess, Missing, ObjectAccess
from post3tw.service.policy.decision import Context, Decision, Outcome, Reason, Request, decide
from post3tw.service.policy.keys import EXISTING_TAG
from post3tw.service.policy.language import parse_policy
from post3tw.service.policy.statement import resource_arn
from post3tw.service.request_context import RequestContext
from post3tw.storage.datadir import DataDirectory
from post3tw.storage.files import Files
from post3tw.storage.index.sqlite.inspection import Inspection, inspected
from post3tw.storage.index.transactions.buckets import find_bucket
from post3tw.storage.index.transactions.documents import get_documents
from post3tw.storage.index.transactions.multipart import find_upload
from post3tw.storage.index.transactions.versions import find_version
from post3tw.storage.threads import NoThreads


@frozen
class Explanation:
    """A decision, and the lines that explain it."""

    decision: Decision
    lines: Sequence[str]


@frozen
class _Facts:
    """What was found: the bucket, what is configured about it, its policy's text, and the object."""

    bucket: Bucket
    rules: BucketRules
    policy: bytes | None
    object: ObjectAccess | Missing

    @property
    def access(self) -> BucketAccess:
        """What the decision is made from."""
        return self.rules.access


@define
class _Recorded:
    """A context that notes what it was asked."""

    context: Context
    asked: dict[str, Sequence[str] | None] = field(factory=dict)

    def values(self, key: str) -> Sequence[str] | None:
        """See decision.Context."""
        self.asked[key] = self.context.values(key)
        return self.asked[key]


def explain(question: Question) -> Explanation:
    """Decide a question, and say why.

    Raises:
        BadQuestion: there is no such bucket, key, version or upload; or the given policy is none.
        StoreRefused: the index cannot be read.
    """
    facts = _imagined(question) if question.owner is not None else _found(question)
    caller = Caller(question.identity)
    context = _Recorded(
        RequestContext(
            caller, "", None, facts.bucket, facts.bucket.region, lambda: int(time.time() * 1000), question.given
        )
    )
    arn = resource_arn(question.bucket, question.key)
    decision = decide(Request(question.identity, question.action, arn, context), facts.access, facts.object)
    return Explanation(decision, list(_lines(question, facts, decision, context)))


# -- what there is ----------------------------------------------------------------------------------------------------


def _imagined(question: Question) -> _Facts:
    """A bucket with nothing but the given policy, all its objects its owner's."""
    assert question.owner is not None and question.policy is not None
    owner = question.owner
    tags = {k[len(EXISTING_TAG) :]: v[0] for k, v in question.given.items() if k.startswith(EXISTING_TAG)}
    bucket = Bucket(0, question.tenant, question.bucket, owner.user_id, owner.display_name, 0, "")
    object = ABSENT if question.key is None else ObjectAccess(owner.user_id, tags=tags)
    return _facts(question, bucket, {}, object)


def _found(question: Question) -> _Facts:
    if any(key.startswith(EXISTING_TAG) for key in question.given):
        raise BadQuestion("the tags of the object are those it has in the data directory; --owner lets you choose them")
    path = DataDirectory(str(question.data_dir), Files(), NoThreads()).index
    if not os.path.exists(path):
        raise BadQuestion(
            f"there is no index in {question.data_dir}: --data-dir names the server's directory; for a store in a "
            "database give --policy and --owner instead"
        )
    with inspected(path) as index:
        bucket = index.read(partial(find_bucket, tenant=question.tenant, name=question.bucket))
        if bucket is None:
            where = f" of tenant {question.tenant}" if question.tenant else ""
            raise BadQuestion(f"{question.data_dir} has no bucket {question.bucket}{where}")
        documents = index.read(partial(get_documents, bucket_id=bucket.id))
        return _facts(question, bucket, dict(documents), _object(question, bucket, index))


def _facts(question: Question, bucket: Bucket, documents: dict[str, bytes], object: ObjectAccess | Missing) -> _Facts:
    if question.policy is not None:
        try:
            parse_policy(question.policy, bucket=bucket.name)
        except MalformedPolicy as error:
            raise BadQuestion(f"the policy is none: {complaint(error)}") from None
        documents[POLICY_KIND] = question.policy
    return _Facts(bucket, rules_of(bucket, documents), documents.get(POLICY_KIND), object)


def _object(question: Question, bucket: Bucket, index: Inspection) -> ObjectAccess | Missing:
    """What is known of the object or the upload that the question is about."""
    if question.key is None:
        return ABSENT
    try:
        key, version_id = key_bytes(question.key), check_version_id(question.version_id)
        if question.action in OF_UPLOADS:
            upload_id = upload_id_bytes(question.upload_id)
            upload = index.read(partial(find_upload, bucket_id=bucket.id, key=key, upload_id=upload_id))
            return ABSENT if upload is None else ObjectAccess(upload.initiator.id)
    except NoSuchUpload:
        raise BadQuestion(f"{question.action} is about an upload: --upload-id names one") from None
    except (InvalidArgument, KeyTooLong) as error:
        raise BadQuestion(f"no object can have this name: {error.message}") from None
    version = index.read(partial(find_version, bucket_id=bucket.id, key=key, version_id=version_id))
    return ABSENT if version is None or version.delete_marker else object_access(version)


# -- what is said -----------------------------------------------------------------------------------------------------


def _lines(question: Question, facts: _Facts, decision: Decision, context: _Recorded) -> Iterator[str]:
    nobody = "anybody" if decision.allowed else "an anonymous caller"
    who = nobody if question.identity is None else question.identity.user_id
    may = "may" if decision.allowed else "may not"
    yield f"{'allowed' if decision.allowed else 'denied'}: {who} {may} {question.action} {_place(question)}"
    yield f"because {decision.reason.value}"
    if decision.statement is not None:
        yield f"{decision.statement} of the bucket's policy:"
        yield from _indented(_source(facts.policy, decision.statement.number))
    elif decision.reason is Reason.UNREADABLE:
        yield f"unreadable: {', '.join(sorted(facts.access.unreadable))}"
    yield f"bucket: {_bucket(facts)}"
    if question.key is not None:
        yield f"object: {_described(facts.object)}"
    for key, values in sorted(context.asked.items()):
        if key in question.given:
            yield f"condition key {key}: {', '.join(values or ())}"
        else:
            taken = "no value" if not values else f"taken to be {', '.join(values)}"
            yield f"condition key {key}: {taken} (--context {key}=…)"
    foreign = _is_foreign(question.identity, facts.bucket)
    if decision.allowed and facts.rules.requester_pays and foreign:
        yield "the requester pays: only with x-amz-request-payer: requester, and never for anonymous callers"
    if decision.outcome is Outcome.IMPLICIT_DENY and foreign:
        yield "to allow it: a statement of the bucket's policy, or a grant in a list, by the owner"


def _place(question: Question) -> str:
    tenant = f" of tenant {question.tenant}" if question.tenant else ""
    version = f", version {question.version_id}" if question.version_id else ""
    return f"on {resource_arn(question.bucket, question.key)}{tenant}{version}"


def _bucket(facts: _Facts) -> str:
    access = facts.access
    settings = [f"owner {access.owner_id}", "a policy" if access.policy is not None else "no policy"]
    if access.acl is not None:
        settings.append("a list of its own, which counts for nothing" if access.acls_disabled else "a list of its own")
    settings.append(access.ownership.value)
    blocks = [name for name, on in sorted(_switches(access).items()) if on]
    return ", ".join(settings + blocks)


def _switches(access: BucketAccess) -> dict[str, bool]:
    return {
        "IgnorePublicAcls": access.public_access.ignore_public_acls,
        "RestrictPublicBuckets": access.public_access.restrict_public_buckets,
    }


def _described(object: ObjectAccess | Missing) -> str:
    if isinstance(object, Missing):
        return "there is none"
    tags = ", ".join(f"{key}={value}" for key, value in sorted(object.tags.items()))
    return (
        f"owner {object.owner_id}, {'private' if object.acl is None else 'a list of its own'}, tags: {tags or 'none'}"
    )


def _is_foreign(identity: Identity | None, bucket: Bucket) -> bool:
    return identity is None or (not identity.admin and identity.user_id != bucket.owner_id)


def _source(policy: bytes | None, number: int) -> str:
    """A statement as its author wrote it, laid out anew."""
    statements: Any = json.loads(policy or b"{}")["Statement"]
    return json.dumps(statements if isinstance(statements, dict) else statements[number - 1], indent=2)


def _indented(text: str) -> Iterator[str]:
    return (f"  {line}" for line in text.splitlines())
