"""The operators of conditions: how a value of the request is compared with one of the policy.

Each compiles the policy's value once into a test, or finds it malformed. A value of the request that is not of the
operator's kind (no number, no address) passes no test. All of it is linear in what it is given.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from operator import eq, ge, gt, le, lt
from typing import Any, Final

from attrs import frozen

from post3tw.service.policy.variables import Pattern, Values, parse_pattern, parse_template
from post3tw.wire.dates import parse_iso8601

Test = Callable[[str, Values], bool]
"""Whether a value of the request passes, given how variables are looked up."""


class BadValue(Exception):
    """A value in a policy that is not of its operator's kind."""


@frozen
class Operator:
    """An operator without its prefixes and suffix.

    Attributes:
        compile: makes a test of one of the policy's values; its second argument is whether variables are allowed.
        negated: it holds when no test is passed.
    """

    compile: Callable[[str, bool], Test]
    negated: bool = False


# -- texts


def _equals(source: str, variables: bool) -> Test:
    template = parse_template(source) if variables else None
    if template is None:
        return lambda value, values: value == source
    return lambda value, values: value == template.text(values)


def _equals_ignoring_case(source: str, variables: bool) -> Test:
    template = parse_template(source) if variables else None
    if template is None:
        folded = source.casefold()
        return lambda value, values: value.casefold() == folded

    def equals(value: str, values: Values) -> bool:
        wanted = template.text(values)
        return wanted is not None and value.casefold() == wanted.casefold()

    return equals


def _like(source: str, variables: bool) -> Test:
    return parse_pattern(source, variables=variables).matches


_ARN_PARTS: Final = 6


def _arn_like(source: str, variables: bool) -> Test:
    """ARNs are compared part by part, so that a star does not reach over a colon into the next part."""
    if source == "*":
        return lambda value, values: value.startswith("arn:")
    sources = source.split(":", _ARN_PARTS - 1)
    if len(sources) != _ARN_PARTS or sources[0] != "arn":
        raise BadValue(source)
    patterns: list[Pattern] = [parse_pattern(part, variables=variables) for part in sources]

    def matches(value: str, values: Values) -> bool:
        parts = value.split(":", _ARN_PARTS - 1)
        return len(parts) == _ARN_PARTS and all(
            pattern.matches(part, values) for pattern, part in zip(patterns, parts, strict=True)
        )

    return matches


# -- numbers, dates and the rest: no variables, no wildcards

# Bounded, so that comparing stays cheap: a Decimal of 1e999999999 is not.
_number: Final = re.compile(r"[+-]?[0-9]{1,400}(?:\.[0-9]{1,400})?").fullmatch
_epoch_seconds: Final = re.compile(r"[0-9]{1,11}").fullmatch


def _number_of(text: str) -> Decimal | None:
    return Decimal(text) if _number(text) else None


def _time_of(text: str) -> int | None:
    """Milliseconds since the epoch of a date, or of seconds since the epoch."""
    return int(text) * 1000 if _epoch_seconds(text) else parse_iso8601(text)


def _truth_of(text: str) -> bool | None:
    return {"true": True, "false": False}.get(text.lower())


def _bytes_of(text: str) -> bytes | None:
    try:
        return b64decode(text, validate=True)
    except (NotBase64, ValueError):
        return None


def _compared(read: Callable[[str], Any], compare: Callable[[Any, Any], bool] = eq) -> Callable[[str, bool], Test]:
    """An operator that reads both values as something, and compares the request's with the policy's."""

    def compile(source: str, variables: bool) -> Test:
        wanted = read(source)
        if wanted is None:
            raise BadValue(source)

        def passes(value: str, values: Values) -> bool:
            found = read(value)
            return found is not None and compare(found, wanted)

        return passes

    return compile


@lru_cache(maxsize=1024)
def _address_of(text: str) -> tuple[int, int] | None:
    """Version and number of an address, None when it is none."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    # An IPv4 client of a socket that takes both shows as ::ffff:192.0.2.1; policies mean 192.0.2.1.
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    address = mapped or address
    return address.version, int(address)


def network_of(text: str) -> IPv4Network | IPv6Network | None:
    """The addresses that a policy's value means: one, or a range in CIDR notation; None when it is neither."""
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def _in_network(source: str, variables: bool) -> Test:
    network = network_of(source)
    if network is None:
        raise BadValue(source)
    version, first, mask = network.version, int(network.network_address), int(network.netmask)

    def contains(value: str, values: Values) -> bool:
        address = _address_of(value)
        return address is not None and address[0] == version and address[1] & mask == first

    return contains


OPERATORS: Final[Mapping[str, Operator]] = {
    "StringEquals": Operator(_equals),
    "StringNotEquals": Operator(_equals, negated=True),
    "StringEqualsIgnoreCase": Operator(_equals_ignoring_case),
    "StringNotEqualsIgnoreCase": Operator(_equals_ignoring_case, negated=True),
    "StringLike": Operator(_like),
    "StringNotLike": Operator(_like, negated=True),
    "NumericEquals": Operator(_compared(_number_of)),
    "NumericNotEquals": Operator(_compared(_number_of), negated=True),
    "NumericLessThan": Operator(_compared(_number_of, lt)),
    "NumericLessThanEquals": Operator(_compared(_number_of, le)),
    "NumericGreaterThan": Operator(_compared(_number_of, gt)),
    "NumericGreaterThanEquals": Operator(_compared(_number_of, ge)),
    "DateEquals": Operator(_compared(_time_of)),
    "DateNotEquals": Operator(_compared(_time_of), negated=True),
    "DateLessThan": Operator(_compared(_time_of, lt)),
    "DateLessThanEquals": Operator(_compared(_time_of, le)),
    "DateGreaterThan": Operator(_compared(_time_of, gt)),
    "DateGreaterThanEquals": Operator(_compared(_time_of, ge)),
    "Bool": Operator(_compared(_truth_of)),
    "BinaryEquals": Operator(_compared(_bytes_of)),
    "IpAddress": Operator(_in_network),
    "NotIpAddress": Operator(_in_network, negated=True),
    "ArnEquals": Operator(_arn_like),
    "ArnNotEquals": Operator(_arn_like, negated=True),
    "ArnLike": Operator(_arn_like),
    "ArnNotLike": Operator(_arn_like, negated=True),
}
"""Every operator but Null, which compares nothing."""
