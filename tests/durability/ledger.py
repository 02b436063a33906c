"""What clients were told: deeds, when they were acknowledged, and what a store must hold after a power cut.

A `Deed` is one request that changes something. It says which names held what before and hold what afterwards. Each
client makes one request at a time, and has keys of its own, so that at any moment everything it was answered for is
settled, and one deed at most may have happened or not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import define, field, frozen

Name = tuple[str, ...]
"""("bucket", NAME), ("object", BUCKET, KEY), ("version", BUCKET, KEY, ID), ("upload", BUCKET, KEY, ID) or
("part", UPLOAD, NUMBER)."""


@frozen
class Content:
    """What is behind a name, as far as a client can tell.

    Attributes:
        sha256: of the bytes, in hex; of a delete marker "".
        size: in bytes.
        etag: without quotes.
        content_type: as it was given; "" where there is none.
        metadata: of the user, sorted.
        tags: sorted.
    """

    sha256: str
    size: int
    etag: str = ""
    content_type: str = ""
    metadata: tuple[tuple[str, str], ...] = ()
    tags: tuple[tuple[str, str], ...] = ()


MARKER = Content("", 0)
Value = Content | str
View = Mapping[Name, Value]
"""What a store holds."""


@frozen
class Deed:
    """One request that was answered with success.

    Attributes:
        client: who made it.
        request_id: of the answer.
        after: what names hold after it; None for a name that is gone.
        each: its names change each by itself (DeleteObjects), not all in one step.
        what: for people.
    """

    client: str
    request_id: str
    after: Mapping[Name, Value | None]
    each: bool = False
    what: str = ""


@define
class Ledger:
    """Follows the answers, in the order in which they left.

    Attributes:
        deeds: of all clients, each client's in its order.
        settled: what was acknowledged so far.
        acknowledged: how many deeds were.
    """

    deeds: Sequence[Deed]
    settled: dict[Name, Value] = field(factory=dict)
    acknowledged: int = 0
    _open: dict[str, list[Deed]] = field(factory=dict, init=False)
    _by_id: dict[str, Deed] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        for deed in reversed(self.deeds):
            self._open.setdefault(deed.client, []).append(deed)
            self._by_id[deed.request_id] = deed

    def answered(self, request_id: str) -> bool:
        """An answer left; whether it was that of a deed."""
        deed = self._by_id.get(request_id)
        if deed is None:
            return False
        waiting = self._open[deed.client]
        assert waiting[-1] is deed, f"answers of {deed.client} are not in the order of its requests"
        waiting.pop()
        self.acknowledged += 1
        for name, value in deed.after.items():
            if value is None:
                self.settled.pop(name, None)
            else:
                self.settled[name] = value
        return True

    def pending(self) -> list[Deed]:
        """The deeds that may have happened or not: of each client the next."""
        return [waiting[-1] for waiting in self._open.values() if waiting]

    def violations(self, view: View) -> list[str]:
        """What a store that was recovered now holds wrongly."""
        wrong: dict[Name, str] = {}
        for name in self.settled.keys() | view.keys():
            expected, found = self.settled.get(name), view.get(name)
            if expected != found:
                wrong[name] = _difference(name, expected, found)
        if not wrong:
            return []
        torn: list[str] = []
        for deed in self.pending():
            touched = [name for name in deed.after if self.settled.get(name) != deed.after[name]]
            done = [name for name in touched if view.get(name) == deed.after[name]]
            if deed.each or len(done) == len(touched):
                for name in done:
                    wrong.pop(name, None)
            elif done:
                torn.append(f"{deed.what or deed.client} has happened in part: {done}")
        return sorted(wrong.values()) + torn


def _difference(name: Name, expected: Value | None, found: Value | None) -> str:
    if found is None:
        return f"{name} is lost: {expected}"
    if expected is None:
        return f"{name} has come back: {found}"
    return f"{name} is {found} instead of {expected}"
