"""What all listings share: their arguments, and a page collected from an index that is walked in short stretches."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from functools import partial

from post3tw.api import types
from post3tw.api.table import Table
from post3tw.model.errors import InvalidArgument, InvalidURI
from post3tw.model.values import value_class
from post3tw.service.store import Store
from post3tw.storage.index.transactions.listing import Names, Position, Relation, Row, walk
from post3tw.wire.uri import quote_key, quote_keys

MAX_ENTRIES = 1000
"""Most entries of a page; a client that asks for more gets this many."""

JOINT = b"\xff"
"""What is between names that are kept together: no UTF-8 has it."""

_MAX_INT = 2**31 - 1

_TOKEN_FORM = b"\x01"
"""What continuation tokens begin with, before base64."""


def name_bytes(name: str | None) -> bytes:
    """A prefix, delimiter or marker as the index knows it; none is the empty one.

    Raises:
        InvalidURI: not UTF-8.
    """
    try:
        return name.encode() if name else b""
    except UnicodeEncodeError:
        raise InvalidURI("The name is not UTF-8.") from None


def page_limit(value: int | None, argument: str) -> int:
    """How many entries a page may have.

    Raises:
        InvalidArgument: not a number that S3 takes.
    """
    if value is None:
        return MAX_ENTRIES
    if not 0 <= value <= _MAX_INT:
        raise InvalidArgument(
            f"Argument {argument} must be an integer between 0 and {_MAX_INT}",
            argument_name=argument,
            argument_value=value,
        )
    return min(value, MAX_ENTRIES)


def name_encoder(encoding_type: str | None) -> Callable[[str], str]:
    """How names are written in the answer: as they are, or percent-encoded for those that XML cannot hold.

    Raises:
        InvalidArgument: an encoding other than `url`.
    """
    if not encoding_type:
        return str
    if encoding_type != "url":
        raise InvalidArgument(
            "Invalid Encoding Method specified in Request",
            argument_name="encoding-type",
            argument_value=encoding_type,
        )
    return quote_key


def shown_names(joined: bytes, encode: Callable[[str], str]) -> list[str]:
    """Many keys or prefixes, at least one, joined by JOINT, as answers show them; `encode` is of `name_encoder`."""
    if encode is quote_key:
        return quote_keys(joined)
    if b"\0" in joined:
        return [name.decode() for name in joined.split(JOINT)]
    return joined.replace(JOINT, b"\0").decode().split("\0")


def shown_prefixes(names: Sequence[bytes], encode: Callable[[str], str]) -> Sequence[types.CommonPrefix]:
    """Common prefixes as answers show them; `encode` is of `name_encoder`."""
    return Table(types.CommonPrefix, {"prefix": shown_names(JOINT.join(names), encode)}) if names else []


def token_of_name(name: bytes) -> str:
    """The continuation token of a page that ends with `name`."""
    return urlsafe_b64encode(_TOKEN_FORM + name).decode()


def name_of_token(token: str) -> bytes:
    """Where a continuation token says to go on. It is no secret and holds no right: any name may be asked for.

    Raises:
        InvalidArgument: not a token of ours.
    """
    try:
        raw = urlsafe_b64decode(token)
    except ValueError:
        raw = b""
    name = raw.removeprefix(_TOKEN_FORM)
    if token_of_name(name) != token:
        raise InvalidArgument(
            "The continuation token provided is incorrect", argument_name="continuation-token", argument_value=token
        )
    return name


@value_class
class Page:
    """Entries in order: rows of a relation, and common prefixes (bytes). `truncated` says whether there are more."""

    entries: Sequence[Row | bytes]
    truncated: bool

    def common_prefixes(self, encode: Callable[[str], str]) -> Sequence[types.CommonPrefix]:
        """The common prefixes, as answers show them."""
        return shown_prefixes(self.groups(), encode)

    def groups(self) -> list[bytes]:
        """The names of the common prefixes."""
        return [entry for entry in self.entries if isinstance(entry, bytes)]

    def rows(self) -> list[Row]:
        """The entries that are not common prefixes."""
        return [entry for entry in self.entries if not isinstance(entry, bytes)]


async def collect(
    store: Store, relation: Relation, bucket_id: int, names: Names, position: Position, limit: int
) -> Page:
    """A page of at most `limit` entries from a position on.

    One entry more is looked for, so that `truncated` is exact. Between stretches others get their turn.
    """
    if limit == 0:
        return Page((), False)
    entries: list[Row | bytes] = []
    here: Position | None = position
    while here is not None and len(entries) <= limit:
        if entries:
            await store.pause()
        stretch = await store.index.read(
            partial(
                walk,
                relation=relation,
                bucket_id=bucket_id,
                names=names,
                position=here,
                room=limit + 1 - len(entries),
            )
        )
        entries += stretch.entries
        here = stretch.next
    return Page(entries[:limit], len(entries) > limit)
