"""Which statements of a policy are looked at for a resource: none is left out that covers it, in the policy's order."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from post3tw.service.policy.statement import MAX_BEGINNINGS, Candidates, Policy, Statement, resource_arn
from tests.service.policy.documents import ADA, BUCKET, bucket_policy, statement

ENDS = ("", "/*", "/a", "/a*", "/ab*", "/ab/*", "/?b*", "/*b", "/${aws:username}/*", "*", "/é*")
KEYS = st.text("ab/é*?", max_size=4)
CONDITIONS: tuple[dict[str, Any], ...] = ({}, {"StringEquals": {"aws:username": "ada"}})
ARNS = [f"arn:aws:s3:{account}{BUCKET}{end}" for account in ("::", ":lab:") for end in ENDS]


def _values(key: str) -> tuple[str, ...]:
    return ("ab",)


def _having(policy: Policy, action: str) -> list[Statement]:
    return [statement for statement in policy.statements if action in statement.actions]


def _policies() -> st.SearchStrategy[tuple[Statement, ...]]:
    resources = st.lists(st.sampled_from(ARNS), min_size=1, max_size=3)
    one = st.builds(
        lambda name, arns, condition: statement("Deny", **{"Resource": None, "Condition": condition, name: arns}),
        st.sampled_from(["Resource", "Resource", "NotResource"]),
        resources,
        st.sampled_from(CONDITIONS),
    )
    return st.lists(one, min_size=1, max_size=6).map(lambda elements: bucket_policy(*elements).statements)


class CandidatesTests(SynchronousTestCase):
    """Candidates.begun, and what it is worth."""

    @given(statements=_policies(), key=KEYS)
    def test_begun(self, statements: tuple[Statement, ...], key: str) -> None:
        """Found are those of which a beginning begins the resource, each once, in their order."""
        resource = resource_arn(BUCKET, key)
        expected = [s.number for s in statements if resource.startswith(s.beginnings)]
        self.assertEqual([s.number for s in Candidates(statements).begun(resource)], expected)

    @given(statements=_policies(), key=KEYS, tenant=st.sampled_from(["", "lab"]))
    def test_nothing_is_missed(self, statements: tuple[Statement, ...], key: str, tenant: str) -> None:
        """A statement that is not found does not cover the resource, and an unconditional one that is found does."""
        resource = resource_arn(BUCKET, key)
        begun = {s.number for s in Candidates(statements).begun(resource)}
        for one in statements:
            covers = one.covers(resource, tenant, _values)
            self.assertTrue(one.number in begun or not covers, one)
            self.assertTrue(covers or not (one.unconditional and one.number in begun), one)

    def test_remembered(self) -> None:
        """A policy remembers what it has for callers and actions once for all who have the same, and, whatever they
        have, little more than itself."""
        arns = [f"arn:aws:s3:::{BUCKET}/{number}*" for number in range(400)]
        same = bucket_policy(statement(Action="s3:*", Resource=arns))
        actions = sorted(same.statements[0].actions)[:100]
        self.assertEqual(len({id(same.about(action, who)[1]) for action in actions for who in (None, ADA)}), 1)
        own = [statement(Action=action) for action in actions[:50]]
        different = bucket_policy(statement(Action="s3:*", Resource=arns), *own)
        for action in actions:
            denying, allowing = different.about(action, ADA)
            self.assertEqual([*denying.statements, *allowing.statements], _having(different, action))
            kept = {id(one): one for pair in different._candidates.values() for one in pair}
            self.assertLess(sum(one.size for one in kept.values()), 2 * MAX_BEGINNINGS)

    def test_unconditional(self) -> None:
        """Nothing depends on more than a beginning where that is all that a statement asks for."""
        for elements, unconditional in (
            ({}, True),
            ({"Resource": [f"arn:aws:s3:::{BUCKET}/a*", f"arn:aws:s3:::{BUCKET}/b*"]}, True),
            ({"Resource": f"arn:aws:s3:::{BUCKET}/a"}, False),
            ({"Resource": f"arn:aws:s3:::{BUCKET}/a*b"}, False),
            ({"Resource": f"arn:aws:s3:::{BUCKET}/a?*"}, False),
            ({"Resource": f"arn:aws:s3:::{BUCKET}/${{aws:username}}/*"}, False),
            ({"Resource": f"arn:aws:s3::lab:{BUCKET}/*"}, False),
            ({"Resource": None, "NotResource": f"arn:aws:s3:::{BUCKET}/a*"}, False),
            ({"Condition": {"Bool": {"aws:SecureTransport": "true"}}}, False),
        ):
            (one,) = bucket_policy(statement("Deny", **elements)).statements
            self.assertIs(one.unconditional, unconditional, elements)
