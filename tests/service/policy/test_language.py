"""Reading policies: what is one, what is none, and how long a hostile one takes."""

from __future__ import annotations

import contextlib
import json
from time import process_time
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from post3tw.model.errors import MalformedPolicy
from post3tw.service.policy.actions import ACTIONS, OBJECT_ACTIONS
from post3tw.service.policy.language import parse_policy
from post3tw.service.policy.statement import Effect, Principals
from tests.service.policy.documents import BUCKET, attached_policy, bucket_policy, document, statement

CONDITION = {"StringLike": {"s3:prefix": "a*"}}


class LanguageTests(SynchronousTestCase):
    """Policies that are taken."""

    def test_whole(self) -> None:
        """Every element of a policy is kept."""
        policy = bucket_policy(
            statement(
                "Deny",
                Sid="No way, friends",
                Principal=None,
                NotPrincipal={"AWS": ["arn:aws:iam::t:root", "arn:aws:iam:::user/ada"], "CanonicalUser": "bob"},
                Action=None,
                NotAction=["s3:*Bucket*", "s3:Get*"],
                Resource=None,
                NotResource=f"arn:aws:s3:::{BUCKET}/public/*",
                Condition={"NumericLessThan": {"s3:max-keys": [10, "2"], "s3:signatureAge": 1.5}, "Bool": {
                    "aws:SecureTransport": False}},
            ),
            Id="mine",
        )  # fmt: skip
        (found,) = policy.statements
        self.assertEqual((policy.id, policy.version), ("mine", "2012-10-17"))
        self.assertEqual((found.number, found.sid, found.effect), (1, "No way, friends", Effect.DENY))
        self.assertEqual(
            found.principals,
            Principals(
                arns=frozenset({"arn:aws:iam:::user/ada"}),
                accounts=frozenset({"t"}),
                users=frozenset({"bob"}),
                negated=True,
            ),
        )
        self.assertIn("s3:PutObject", found.actions)
        self.assertFalse(found.actions & {"s3:GetObject", "s3:ListBucket"})
        self.assertTrue(found.resources_negated)
        self.assertEqual([c.key for c in found.conditions], ["s3:max-keys", "s3:signatureage", "aws:securetransport"])

    def test_values_without_quotes(self) -> None:
        """Numbers and booleans are the texts that they would be in quotes."""
        bare, quoted = (
            bucket_policy(statement(Condition={"StringEquals": {"s3:prefix": values}})).statements[0].conditions
            for values in ([True, False, 10, 1.5, "a"], ["true", "false", "10", "1.5", "a"])
        )
        self.assertEqual(bare, quoted)

    def test_short_forms(self) -> None:
        """One statement, one action and one resource need no list, the version may be missing."""
        text = json.dumps({"Statement": statement(Resource=[f"arn:aws:s3:::{BUCKET}", "arn:aws:s3:::*/a"])})
        policy = parse_policy(text.encode(), bucket=BUCKET)
        self.assertEqual((policy.version, policy.id, len(policy.statements)), ("2008-10-17", "", 1))

    def test_wild_actions(self) -> None:
        """Wild actions are spelt out."""
        (found,) = bucket_policy(statement(Action=["s3:*Object*", "*"])).statements
        self.assertEqual(found.actions, ACTIONS)
        (found,) = bucket_policy(statement(Action="s3:PutObject*")).statements
        self.assertLess(found.actions, OBJECT_ACTIONS)

    def test_principals(self) -> None:
        """The ways to name somebody."""
        canonical = "0123456789abcdef" * 4
        for principal, expected in (
            ("*", Principals(everyone=True)),
            ({"AWS": "*"}, Principals(everyone=True)),
            ({"AWS": ["*", "t"]}, Principals(everyone=True, accounts=frozenset({"t"}))),
            ({"AWS": "123456789012"}, Principals(accounts=frozenset({"123456789012"}))),
            ({"AWS": "arn:aws:iam:::root"}, Principals(accounts=frozenset({""}))),
            ({"AWS": canonical, "CanonicalUser": "ada"}, Principals(users=frozenset({canonical, "ada"}))),
            ({"AWS": "arn:aws:iam::t:role/a/b"}, Principals(arns=frozenset({"arn:aws:iam::t:role/a/b"}))),
            ({"Service": "logging.s3.amazonaws.com"}, Principals(others=frozenset({"logging.s3.amazonaws.com"}))),
            ({"Service": "s3.amazonaws.com.cn"}, Principals(others=frozenset({"s3.amazonaws.com.cn"}))),
            ({"Federated": "accounts.google.com"}, Principals(others=frozenset({"accounts.google.com"}))),
            ({"AWS": "t" * 63}, Principals(accounts=frozenset({"t" * 63}))),
            ({"AWS": canonical[1:]}, Principals(accounts=frozenset({canonical[1:]}))),
            ({"AWS": f"arn:aws:iam::{'t' * 64}:root"}, Principals(accounts=frozenset({"t" * 64}))),
            *(
                ({"AWS": arn}, Principals(arns=frozenset({arn})))
                for arn in (
                    f"arn:aws:iam::{'t' * 64}:user/ada",
                    "arn:aws:sts::t:assumed-role/a/b",
                    "arn:aws:sts::t:federated-user/a",
                )
            ),
        ):
            (found,) = bucket_policy(statement(Principal=principal)).statements
            self.assertEqual(found.principals, expected, principal)

    def test_attached(self) -> None:
        """A policy that is attached to somebody has no principals and may be about any bucket."""
        (found,) = attached_policy(statement(Resource=["arn:aws:s3:::${aws:username}-*/*", "*"])).statements
        self.assertIsNone(found.principals)


class MalformedTests(SynchronousTestCase):
    """Policies that are refused."""

    def _refused(self, text: str | bytes, *, bucket: str | None = BUCKET) -> str:
        error = self.assertRaises(MalformedPolicy, parse_policy, text, bucket=bucket)
        self.assertLess(len(error.message), 200)
        return str(error.message)

    def test_elements(self) -> None:
        """A statement with an element missing, wrong, unknown or contradictory."""
        wrong: tuple[dict[str, Any], ...] = (
            {"Effect": None}, {"Effect": "allow"}, {"Effect": ["Allow"]}, {"Effect": {}}, {"Sid": 1}, {"Sid": []},
            {"Principal": None}, {"Principal": ""}, {"Principal": []}, {"Principal": {}}, {"Principal": ["*"]},
            {"Principal": {"AWS": []}}, {"Principal": {"AWS": [1]}}, {"Principal": {"AWS": None}},
            {"Principal": {"AWS": "arn:aws:iam::t:user/*"}}, {"Principal": {"AWS": "arn:aws:iam::t:root/x"}},
            {"Principal": {"AWS": "t" * 64}}, {"Principal": {"AWS": f"arn:aws:iam::{'t' * 65}:root"}},
            {"Principal": {"AWS": f"arn:aws:iam::{'t' * 65}:user/ada"}}, {"Principal": {"AWS": "arn:aws:iam::t:user/"}},
            {"Principal": {"AWS": "arn:aws:iam::t:user/?"}}, {"Principal": {"CanonicalUser": "a?"}},
            {"Principal": {"AWS": "arn:aws:s3:::b"}}, {"Principal": {"AWS": "a b"}}, {"Principal": {"aws": "*"}},
            {"Principal": {"CanonicalUser": "*"}}, {"Principal": {"CanonicalUser": ""}},
            {"Principal": {"Service": "*"}}, {"Principal": {"Service": "example.com"}},
            {"Principal": {"Federated": "*"}}, {"Principal": {"Unknown": "ada"}}, {"NotPrincipal": {"AWS": "t"}},
            {"Principal": None, "NotPrincipal": {"AWS": "t"}},
            {"Action": None}, {"Action": []}, {"Action": 1}, {"Action": ["s3:GetObject", 1]}, {"Action": "s3:Nothing"},
            {"Action": ["s3:GetObject", "s3:Nothing"]}, {"Action": "ec2:*"}, {"NotAction": "s3:GetObject"},
            {"Action": None, "NotAction": "s3:Nothing"},
            {"Resource": None}, {"Resource": []}, {"Resource": {}}, {"Resource": "bucket/*"}, {"Resource": ""},
            {"Resource": "arn:aws:s3:::other/*"}, {"Resource": "arn:aws:s3:::"}, {"Resource": "arn:aws:s3:bucket"},
            {"Resource": "arn:aws:s3:eu:t:bucket"}, {"Resource": f"arn:aws:sqs:::{BUCKET}"},
            {"Resource": f"arn:aws:s3:::{BUCKET}/${{x}}"}, {"Resource": f"arn:aws:s3:::{BUCKET}/${{aws:usernam}}"},
            {"Resource": ["arn:aws:s3:::*", "arn:aws:s3:::other"]}, {"NotResource": "arn:aws:s3:::*"},
            {"Condition": []}, {"Condition": "x"}, {"Condition": {"StringLike": {}}}, {"Condition": {"Bool": "x"}},
            {"Condition": {"StringLike": {"s3:prefix": []}}}, {"Condition": {"StringLike": {"s3:prefix": None}}},
            {"Condition": {"StringLike": {"s3:prefix": [["a"]]}}}, {"Condition": {"StringLike": {"s3:prfx": "a"}}},
            {"Condition": {"Like": {"s3:prefix": "a"}}}, {"Condition": {"NumericEquals": {"s3:max-keys": 1e400}}},
            {"Conditions": {}}, {"sid": "x"}, {"Principals": "*"},
        )  # fmt: skip
        for elements in wrong:
            with self.subTest(str(elements)):
                self._refused(document(statement(**elements)))

    def test_policy(self) -> None:
        """A policy with an element wrong or unknown."""
        wrong: tuple[dict[str, Any], ...] = (
            {"Version": "2012-10-18"}, {"Version": 1}, {"Version": []}, {"Id": 1}, {"Statement": []},
            {"Statement": "x"}, {"Statement": [[]]}, {"Statement": [1]}, {"Statement": None}, {"Note": "x"},
        )  # fmt: skip
        for elements in wrong:
            with self.subTest(str(elements)):
                self._refused(document(statement(), **elements))
        self.assertEqual(self._refused('{"Version": "2012-10-17"}'), "Missing required field Statement")
        self.assertEqual(self._refused('{"Statement": []}'), "Invalid policy syntax.")

    def test_messages(self) -> None:
        """What is wrong is said in AWS's words; which statement and which word it was stands in the notes."""
        messages: tuple[tuple[dict[str, Any], str, list[str]], ...] = (
            ({"Effect": None}, "Missing required field Effect", []),
            ({"Effect": "allow"}, "Invalid effect: allow", []),
            ({"Effect": "x" * 99}, f"Invalid effect: {'x' * 80}", []),
            ({"Sid": 1}, "Invalid policy syntax.", []),
            ({"Principal": None}, "Missing required field Principal", []),
            ({"NotPrincipal": "*"}, "Invalid policy syntax.", []),
            ({"Principal": "ada"}, "Invalid principal in policy", []),
            ({"Principal": None, "NotPrincipal": "*"}, "Allow with NotPrincipal is not allowed.", []),
            ({"Action": None}, "Missing required field Action", []),
            ({"Action": []}, "Policy has invalid action", []),
            ({"Action": "s3:Nothing"}, "Policy has invalid action", ["s3:Nothing"]),
            ({"Action": "s3:" + "x" * 99}, "Policy has invalid action", ["s3:" + "x" * 77]),
            ({"NotAction": "s3:GetObject"}, "Invalid policy syntax.", []),
            ({"Resource": None}, "Missing required field Resource", []),
            ({"Resource": []}, "Policy has invalid resource", []),
            ({"Resource": "arn:aws:s3:::other"}, "Policy has invalid resource", ["arn:aws:s3:::other"]),
            ({"Resource": "bucket"}, "Policy has invalid resource", ["bucket"]),
            ({"Resource": "arn:aws:s3:::bucket/${"}, "Policy has invalid resource", ["arn:aws:s3:::bucket/${"]),
            ({"Condition": []}, "Invalid policy syntax.", []),
            ({"Condition": {"Bool": {}}}, "Invalid policy syntax.", []),
            ({"Condition": {"Bool": {"s3:prefix": None}}}, "Invalid policy syntax.", []),
            ({"Condition": {"Bool": {"s3:prefx": "a"}}}, "Policy has an invalid condition key", []),
            ({"x" * 99: 1}, f"Unknown field {'x' * 80}", []),
        )
        for elements, message, notes in messages:
            text = document(statement(), statement(**elements))
            error = self.assertRaises(MalformedPolicy, parse_policy, text, bucket=BUCKET)
            self.assertEqual(error.message, message)
            self.assertEqual(error.__notes__, [*notes, "in statement 2"])
        for principal in ({}, {"Principal": None, "NotPrincipal": "*"}):
            error = self.assertRaises(MalformedPolicy, parse_policy, document(statement("Deny", **principal)))
            self.assertEqual(error.message, "Policy document should not specify a principal.")

    def test_twice(self) -> None:
        """What is there twice, at any level, is refused, and so are two statements of one name."""
        text = document(statement(Condition=CONDITION))
        for member in ('"Effect": "Allow"', '"s3:prefix": "a*"', '"Version": "2012-10-17"'):
            self.assertIn(member, text)
            self.assertIn("twice", self._refused(text.replace(member, f"{member}, {member}")))
        self.assertIn("unique", self._refused(document(statement(Sid="a"), statement(Sid="a"))))

    def test_wrong_place(self) -> None:
        """Statements of a bucket's policy name principals, those of an attached one do not."""
        self._refused(document(statement()), bucket=None)
        self._refused(document(statement(Principal=None)))

    def test_no_json(self) -> None:
        """What is not a JSON object in UTF-8 is refused, also where Python's parser would take it."""
        good = document(statement(Sid="x"))
        for text in (
            "", "null", "[]", '"x"', f" {good}", f"\ufeff{good}", good[:-1], good + "x", good.replace('"x"', "NaN"),
            good.replace('"x"', "Infinity"), good.replace('"x"', "1" * 5_000), good.replace('"x"', '"\\ud800"'),
            good.replace('"x"', '"\n"'), good.encode("utf-16"), b"{\xff}", '{"a":1,}',
        ):  # fmt: skip
            with self.subTest(str(text)[:40]):
                self.assertIn("must be valid JSON", self._refused(text))

    def test_depth(self) -> None:
        """Eight brackets may be open at once, whatever was closed before; more than that is not even parsed."""
        for before in ("", "[[]],[],{},"):
            self.assertEqual(self._refused(f'{{"a":[{before}{"[" * 6}"]["{"]" * 6}]}}'), "Unknown field a")
            self.assertIn("must be valid JSON", self._refused(f'{{"a":[{before}{"[" * 7}{"]" * 7}]}}'))

    def test_too_large(self) -> None:
        """20 KiB are taken, a byte more is not."""
        good = document(statement(Sid="x" * 20_000), Id="")
        full = good.replace('"Id": ""', '"Id": "' + "x" * (20 * 1024 - len(good)) + '"')
        parse_policy(full, bucket=BUCKET)
        self.assertEqual(self._refused(full + " "), "The policy is larger than 20480 bytes.")

    def test_hostile(self) -> None:
        """10,000 statements, deep nesting, unclosed strings and huge values are refused at once."""
        deep = "[" * 6_000
        for name, text in (
            ("statements", '{"Statement":[' + "{}," * 10_000 + "{}]}"),
            ("empty statements", '{"Statement":[' + "{}," * 6_000 + "{}]}"),
            ("depth", '{"Statement":' + deep + "]" * len(deep) + "}"),
            ("objects", '{"a":' * 3_000 + "1" + "}" * 3_000),
            ("unclosed", "{" + '"\\' * 10_000),
            ("quotes", '{"a' + '\\"' * 10_000),
            ("actions", document(statement(Action=["s3:*?*?*?*?zz"] * 1_200))),
            ("values", document(statement(Condition={"NumericEquals": {"s3:max-keys": "9" * 20_000}}))),
        ):
            with self.subTest(name):
                began = process_time()
                self._refused(text)
                self.assertLess(process_time() - began, 0.5)

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.sampled_from(["*", "Allow", "t"]),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["AWS", "StringLike", "s3:prefix", "Sid", "Action"]), inner, max_size=3
                )
            ),
            max_leaves=6,
        ),
        st.sampled_from(["Sid", "Effect", "Principal", "Action", "NotAction", "Resource", "NotResource", "Condition"]),
    )
    def test_anything(self, value: Any, element: str) -> None:
        """Whatever stands for an element, the policy is understood or refused, and nothing else happens."""
        with contextlib.suppress(MalformedPolicy):
            parse_policy(document(statement(**{element: value})), bucket=BUCKET)
