"""Whether a policy is public, as Public Access Block and GetBucketPolicyStatus mean it.

A policy is public unless everything that it allows is for fixed principals, or under a condition that pins who may come
to fixed values: to addresses, to the services that a request passed, to an account. A value with a wildcard or a
variable pins nothing, neither does a negated operator, nor one that holds for requests without a value, nor the user id
that all anonymous callers have.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html#access-control-block-public-access-policy-status
"""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Final

from post3tw.service.policy.conditions import Comparison, Condition, Quantifier
from post3tw.service.policy.keys import ANONYMOUS
from post3tw.service.policy.operators import network_of
from post3tw.service.policy.statement import Effect, Policy, Statement

_PINNING_KEYS: Final = frozenset({
    "aws:principalaccount", "aws:principalarn", "aws:principalorgid", "aws:principalorgpaths", "aws:sourceaccount",
    "aws:sourcearn", "aws:sourceorgid", "aws:sourceorgpaths", "aws:sourceowner", "aws:sourcevpc", "aws:sourcevpcarn",
    "aws:sourcevpce", "aws:userid", "aws:username", "aws:vpceaccount", "aws:vpceorgid", "aws:vpceorgpaths",
    "s3:dataaccesspointaccount", "s3:dataaccesspointarn", "s3:x-amz-server-side-encryption-aws-kms-key-id",
})  # fmt: skip
_PINNING_OPERATORS: Final = frozenset({
    "StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike",
})  # fmt: skip
_WIDEST_IPV4: Final = 8
_WIDEST_IPV6: Final = 32


def is_public(policy: Policy) -> bool:
    """Whether the policy allows anything to anybody."""
    return any(_is_public(statement) for statement in policy.statements)


def _is_public(statement: Statement) -> bool:
    if statement.effect is Effect.DENY or statement.principals is None:
        return False
    open_to_all = statement.principals.everyone or statement.principals.negated
    return open_to_all and not any(_pins(condition) for condition in statement.conditions)


def _pins(condition: Condition) -> bool:
    if not isinstance(condition, Comparison) or condition.if_exists or condition.quantifier is Quantifier.ALL:
        return False
    if condition.operator == "IpAddress" and condition.key == "aws:sourceip":
        return all(_is_narrow(source) for source in condition.sources)
    return (
        condition.key in _PINNING_KEYS
        and condition.operator in _PINNING_OPERATORS
        and not any(set("*?") & set(source) or "${" in source for source in condition.sources)
        and not any(source.casefold() == ANONYMOUS for source in condition.sources)
    )


def _is_narrow(source: str) -> bool:
    """Whether a range of addresses is not what AWS calls very broad."""
    network = network_of(source)
    widest = _WIDEST_IPV4 if isinstance(network, IPv4Network) else _WIDEST_IPV6
    return network is not None and network.prefixlen >= widest
