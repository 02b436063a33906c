"""Bucket policies against a second reading of them: one statement after the other, nothing prepared or remembered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from post3tw.model.identity import Identity
from post3tw.service.policy.access import BucketAccess, ObjectAccess
from post3tw.service.policy.decision import decide
from post3tw.service.policy.statement import resource_arn
from tests.service.policy.documents import ADA, BOB, BUCKET, bucket_policy, request, statement

Holds = Callable[[Mapping[str, str], Mapping[str, str]], bool]
"""Whether a condition holds, given the condition keys of a request and the tags of an object."""

PRINCIPALS: list[tuple[Any, Callable[[Identity | None], bool]]] = [
    ("*", lambda who: True),
    ({"AWS": "arn:aws:iam:::user/ada"}, lambda who: who is ADA),
    ({"AWS": ["arn:aws:iam::research:root", "sales"]}, lambda who: who is BOB),
    ({"CanonicalUser": "ada", "AWS": "research"}, lambda who: who is not None),
]
CONDITIONS: list[tuple[Any, Holds]] = [
    ({}, lambda keys, tags: True),
    ({"StringEquals": {"s3:prefix": ["a", "b"]}}, lambda keys, tags: keys.get("s3:prefix") in ("a", "b")),
    ({"StringNotEquals": {"s3:prefix": ["a", "b"]}}, lambda keys, tags: keys.get("s3:prefix") not in ("a", "b")),
    ({"StringLikeIfExists": {"S3:Prefix": "a*"}}, lambda keys, tags: keys.get("s3:prefix", "a").startswith("a")),
    ({"Null": {"s3:prefix": True}}, lambda keys, tags: "s3:prefix" not in keys),
    ({"StringLike": {"s3:ExistingObjectTag/team": "?ed"}}, lambda keys, tags: tags.get("team") == "red"),
    (
        {"NumericGreaterThan": {"s3:max-keys": 5}, "StringNotEquals": {"s3:ExistingObjectTag/team": "red"}},
        lambda keys, tags: float(keys.get("s3:max-keys", 0)) > 5 and tags.get("team") != "red",
    ),
]
ACTIONS = ["s3:GetObject", "s3:GetObjectTagging", "s3:PutObject", "s3:ListBucket"]
PATTERNS = ["s3:GetObject", "s3:Get*", "s3:*Object", "*", "s3:?istBucket"]
KEYS = [None, "a", "ab", "b/c", "b/c/d"]
RESOURCES = [f"arn:aws:s3:::{end}" for end in (BUCKET, f"{BUCKET}/*", f"{BUCKET}/a?", f"{BUCKET}/b*/?", "*", "b*t/a")]


def _some(values: list[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=3)


@frozen
class Reading:
    """A statement, as one reads it aloud."""

    effect: str
    principal: tuple[Any, Callable[[Identity | None], bool]]
    actions: list[str]
    resources: list[str]
    condition: tuple[Any, Holds]
    not_principal: bool
    not_action: bool
    not_resource: bool

    def written(self) -> dict[str, Any]:
        """The statement as it stands in a policy."""
        return statement(
            self.effect,
            Principal=None if self.not_principal else self.principal[0],
            NotPrincipal=self.principal[0] if self.not_principal else None,
            Action=None if self.not_action else self.actions,
            NotAction=self.actions if self.not_action else None,
            Resource=None if self.not_resource else self.resources,
            NotResource=self.resources if self.not_resource else None,
            Condition=self.condition[0],
        )

    def is_about(
        self, who: Identity | None, action: str, arn: str, keys: Mapping[str, str], tags: Mapping[str, str]
    ) -> bool:
        """Whether it is about a request."""
        return (
            self.principal[1](who) is not self.not_principal
            and any(fnmatchcase(action, pattern) for pattern in self.actions) is not self.not_action
            and any(fnmatchcase(arn, pattern) for pattern in self.resources) is not self.not_resource
            and self.condition[1](keys, tags)
        )


def _readings(effect: str) -> st.SearchStrategy[Reading]:
    return st.builds(
        Reading,
        st.just(effect),
        st.sampled_from(PRINCIPALS),
        _some(PATTERNS),
        _some(RESOURCES),
        st.sampled_from(CONDITIONS),
        not_principal=st.booleans() if effect == "Deny" else st.just(False),
        not_action=st.booleans(),
        not_resource=st.booleans(),
    )


_REQUESTS = st.tuples(st.sampled_from([None, ADA, BOB]), st.sampled_from(ACTIONS), st.sampled_from(KEYS))
_CONTEXTS = st.fixed_dictionaries(
    {},
    optional={"s3:prefix": st.sampled_from(["a", "ab", "c"]), "s3:max-keys": st.sampled_from(["5", "6"])},
)
_TAGS = st.sampled_from([{}, {"team": "red"}, {"team": "blue"}, {"Team": "red"}])


class ReferenceTests(SynchronousTestCase):
    """A stranger in a bucket that has nothing but a policy."""

    @given(
        st.lists(_readings("Allow") | _readings("Deny"), min_size=1, max_size=5),
        st.lists(_REQUESTS, min_size=1, max_size=4),
        _CONTEXTS,
        _TAGS,
    )
    def test_agrees(
        self, readings: list[Reading], asked: list[Any], keys: dict[str, str], tags: dict[str, str]
    ) -> None:
        """Everything that is asked of one policy is decided as the second reading decides it."""
        policy = bucket_policy(*(reading.written() for reading in readings))
        bucket = BucketAccess("owner", policy=policy, uniform=True)
        for who, action, key in asked:
            arn = resource_arn(BUCKET, key)
            effects = {reading.effect for reading in readings if reading.is_about(who, action, arn, keys, tags)}
            decision = decide(request(who, action, key, context=keys), bucket, ObjectAccess("owner", tags=tags))
            self.assertEqual(decision.allowed, effects == {"Allow"}, (who, action, key, decision))
