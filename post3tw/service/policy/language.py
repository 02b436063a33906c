"""Reading a policy document, as strictly as AWS does.

What is not understood is refused, never skipped: an unknown element, a misspelt action or condition key would otherwise
allow or deny something else than its author meant. The work is bounded by the document's size, 20 KiB.

Where we differ from AWS:
- principals are not looked up: a user that does not exist is nobody, and becomes somebody when it is made;
- an action may stand with resources that it can never be about (s3:PutObject with the bucket's ARN).

https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from post3tw.model.errors import MalformedPolicy
from post3tw.service.policy.actions import ACTIONS, actions_named
from post3tw.service.policy.conditions import BadCondition, Condition, parse_condition
from post3tw.service.policy.principals import parse_principals
from post3tw.service.policy.statement import ARN_PREFIX, Effect, Policy, Principals, Resource, Statement
from post3tw.service.policy.variables import BadVariable, parse_pattern
from post3tw.service.policy.wildcards import wildcard

MAX_SIZE: Final = 20 * 1024
"""Bytes of a bucket policy."""
CURRENT: Final = "2012-10-17"
"""The version that has variables."""
_VERSIONS: Final = (CURRENT, "2008-10-17")
_MAX_DEPTH: Final = 8  # {Statement: [{Condition: {operator: {key: [value]}}}]} is 6
_ELEMENTS: Final = frozenset({"Version", "Id", "Statement"})
_STATEMENT_ELEMENTS: Final = frozenset({
    "Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition",
})  # fmt: skip


def parse_policy(text: bytes | str, *, bucket: str | None = None) -> Policy:
    """Understand a policy document.

    Args:
        text: the document, JSON in UTF-8.
        bucket: the name of the bucket that it is put on: statements must be about it, and name principals. None for a
            policy that is attached to a user, group or role: its statements have no principals.

    Raises:
        MalformedPolicy: with AWS's message where it has one. What it does not say, the word and the number of the
            statement, are notes (`__notes__`).
    """
    document = _loaded(text)
    _require_known(document, _ELEMENTS)
    version = document.get("Version", _VERSIONS[1])
    if version not in _VERSIONS:
        raise MalformedPolicy("The policy must contain a valid version string")
    identifier = document.get("Id", "")
    statements = document.get("Statement")
    if isinstance(statements, dict):
        statements = [statements]
    if not isinstance(identifier, str) or not isinstance(statements, list) or not statements:
        raise MalformedPolicy("Missing required field Statement" if statements is None else _SYNTAX)
    parsed = tuple(_numbered(n, s, bucket, version == CURRENT) for n, s in enumerate(statements, 1))
    sids = [statement.sid for statement in parsed if statement.sid]
    if len(set(sids)) != len(sids):
        raise MalformedPolicy("Statement IDs (SID) in a single policy must be unique.")
    return Policy(parsed, identifier, version)


# -- JSON

_SYNTAX: Final = "Invalid policy syntax."
_NOT_JSON: Final = "Policies must be valid JSON and the first byte must be '{'"


def _loaded(text: bytes | str) -> dict[str, Any]:
    """The document as an object: bounded in size and depth, every name in it only once."""
    try:
        octets = text.encode() if isinstance(text, str) else text
        if len(octets) > MAX_SIZE:
            raise MalformedPolicy(f"The policy is larger than {MAX_SIZE} bytes.")
        text = octets.decode()
        if not text.startswith("{") or _too_deep(text):
            raise MalformedPolicy(_NOT_JSON)
        document = json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
        # "\ud800" is an escape that JSON has and UTF-8 has not: it could never be compared or shown.
        json.dumps(document, ensure_ascii=False).encode()
    except ValueError:
        raise MalformedPolicy(_NOT_JSON) from None
    assert isinstance(document, dict)
    return document


def _too_deep(text: str) -> bool:
    """Whether brackets are nested deeper than in any policy. Looked at first: the JSON parser is recursive."""
    depth = 0
    for token in _TOKENS.finditer(text):
        first = token[0][0]
        if first in "{[":
            depth += 1
            if depth > _MAX_DEPTH:
                return True
        elif first in "}]":
            depth -= 1
    return False


# A string that does not end is taken to the end of the text, so that it is scanned only once.
_TOKENS: Final = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise MalformedPolicy("Policy has a field twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _require_known(element: Mapping[str, Any], known: frozenset[str]) -> None:
    for name in element:
        if name not in known:
            raise MalformedPolicy(f"Unknown field {name[:80]}")


def _texts(value: Any, complaint: str) -> list[str]:
    """A text or a list of texts, not empty."""
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise MalformedPolicy(complaint)
    return texts


def _one_of(element: Mapping[str, Any], name: str) -> tuple[Any, bool]:
    """The value of `name` or of `Not…`, and whether it is the second. Exactly one of them must be there."""
    negated = f"Not{name}"
    if (name in element) is (negated in element):
        raise MalformedPolicy(_SYNTAX if name in element else f"Missing required field {name}")
    return (element[name], False) if name in element else (element[negated], True)


# -- statements


def _numbered(number: int, element: Any, bucket: str | None, variables: bool) -> Statement:
    try:
        return _statement(number, element, bucket, variables)
    except MalformedPolicy as error:
        error.add_note(f"in statement {number}")
        raise


def _statement(number: int, element: Any, bucket: str | None, variables: bool) -> Statement:
    if not isinstance(element, dict):
        raise MalformedPolicy(_SYNTAX)
    _require_known(element, _STATEMENT_ELEMENTS)
    sid = element.get("Sid", "")
    if not isinstance(sid, str):
        raise MalformedPolicy(_SYNTAX)
    if "Effect" not in element:
        raise MalformedPolicy("Missing required field Effect")
    if element["Effect"] not in ("Allow", "Deny"):
        raise MalformedPolicy(f"Invalid effect: {str(element['Effect'])[:80]}")
    effect = Effect(element["Effect"])
    return Statement(
        number=number,
        sid=sid,
        effect=effect,
        actions=_actions(element),
        principals=_principals(element, effect, attached=bucket is None),
        resources=_resources(element, bucket, variables),
        resources_negated="NotResource" in element,
        conditions=_conditions(element.get("Condition", {}), variables),
    )


def _invalid(what: str, name: str) -> MalformedPolicy:
    """AWS's message, which does not say which one; the note does."""
    error = MalformedPolicy(f"Policy has invalid {what}")
    error.add_note(name[:80])
    return error


def _actions(element: Mapping[str, Any]) -> frozenset[str]:
    value, negated = _one_of(element, "Action")
    actions: set[str] = set()
    for name in _texts(value, "Policy has invalid action"):
        named = actions_named(name)
        if not named:
            raise _invalid("action", name)
        actions |= named
    return ACTIONS - actions if negated else frozenset(actions)


def _principals(element: Mapping[str, Any], effect: Effect, *, attached: bool) -> Principals | None:
    if attached:
        if "Principal" in element or "NotPrincipal" in element:
            raise MalformedPolicy("Policy document should not specify a principal.")
        return None
    value, negated = _one_of(element, "Principal")
    if negated and effect is Effect.ALLOW:
        raise MalformedPolicy("Allow with NotPrincipal is not allowed.")
    return parse_principals(value, negated=negated)


_RESOURCE: Final = re.compile(r"arn:aws:s3:(?P<region>[a-z0-9*?-]*):(?P<account>[A-Za-z0-9_*?-]*):(?P<name>.+)", re.S)


def _resources(element: Mapping[str, Any], bucket: str | None, variables: bool) -> tuple[Resource, ...]:
    value, _ = _one_of(element, "Resource")
    return tuple(_resource(text, bucket, variables) for text in _texts(value, "Policy has invalid resource"))


def _resource(text: str, bucket: str | None, variables: bool) -> Resource:
    account, name = "", text
    if text != "*":
        arn = _RESOURCE.fullmatch(text)
        if arn is None or arn["region"].strip("*"):
            raise _invalid("resource", text)
        account, name = arn["account"], arn["name"]
    # A variable may stand for the bucket's name in a policy that is attached to somebody, not in the bucket's own.
    if bucket is not None and not wildcard(name.partition("/")[0]).matches(bucket):
        raise _invalid("resource", text)
    try:
        pattern = parse_pattern("*" if text == "*" else ARN_PREFIX + name, variables=variables)
    except BadVariable:
        raise _invalid("resource", text) from None
    return Resource(pattern, wildcard(account) if account.strip("*") else None)


def _conditions(blocks: Any, variables: bool) -> tuple[Condition, ...]:
    if not isinstance(blocks, dict):
        raise MalformedPolicy(_SYNTAX)
    conditions = []
    for operator, keys in blocks.items():
        if not isinstance(keys, dict) or not keys:
            raise MalformedPolicy(_SYNTAX)
        for key, value in keys.items():
            try:
                conditions.append(parse_condition(operator, key, _values(value), variables=variables))
            except BadCondition as error:
                raise MalformedPolicy(str(error)) from None
    return tuple(conditions)


def _values(value: Any) -> list[str]:
    """The values of a condition as texts: numbers and booleans may be written without quotes."""
    values = value if isinstance(value, list) else [value]
    texts = []
    for one in values:
        if isinstance(one, bool):
            texts.append("true" if one else "false")
        elif isinstance(one, (str, int)):
            texts.append(str(one))
        elif isinstance(one, float):
            texts.append(json.dumps(one))
        else:
            raise MalformedPolicy(_SYNTAX)
    return texts
