"""Rules of the model: listings, page by page."""

from __future__ import annotations

from tests.durability.answers import Step
from tests.durability.dictstore import Bucket
from tests.durability.expectations import Entry, Expected, by_kind, document_of, listing, text_of
from tests.durability.rules import NO_BUCKET, Query, Rule, Rules

_PREFIXES = ("", "", "a", "a/", "a/b", "é", "z/k", "\U0001f600", "nothing", "%")
_DELIMITERS = ("", "/", "/", "b", "//")


class ListingRules(Rules):
    """See the module's text."""

    def _asked(self) -> tuple[str, str, int, Query]:
        prefix, delimiter, size = (
            self.random.choice(_PREFIXES),
            self.random.choice(_DELIMITERS),
            self.random.randrange(1, 5),
        )
        query: list[tuple[str, str | None]] = [("max-keys", str(size))]
        if prefix:
            query.append(("prefix", prefix))
        if delimiter:
            query.append(("delimiter", delimiter))
        if self.chance(30):
            query.append(("encoding-type", "url"))
        return prefix, delimiter, size, tuple(query)

    def list_objects(self) -> Rule:
        """Walk through a listing, the first version's or the second's, by one to four entries a page."""
        name, bucket = self.some_bucket()
        prefix, delimiter, size, query = self._asked()
        second = self.chance(60)
        if second:
            query += (("list-type", "2"),)
        if bucket is None:
            yield Step("GET", f"/{name}", query), NO_BUCKET
            return
        begin: Query = ()
        after = self.random.choice(_PREFIXES[2:]) if self.chance(25) else ""
        if after:
            begin = ((("start-after" if second else "marker"), after),)
        entries = [_shown(bucket, key, common) for key, common in bucket.entries(prefix, delimiter, after)]
        for page, last in _pages(entries, size):
            expected = Expected(200, document=(by_kind(page), "false" if last else "true"), parse=listing)
            answer = yield Step("GET", f"/{name}", query + begin), expected
            if last:
                return
            found = document_of(answer)
            if second:
                begin = (("continuation-token", text_of(found, "NextContinuationToken")),)
            else:
                begin = (("marker", page[-1][0]),)

    def list_versions(self) -> Rule:
        """Walk through all versions by one to four entries a page."""
        name, bucket = self.some_bucket()
        prefix, delimiter, size, query = self._asked()
        query = (("versions", None), *query)
        if bucket is None:
            yield Step("GET", f"/{name}", query), NO_BUCKET
            return
        entries: list[Entry] = []
        for key, common in bucket.all_entries(prefix, delimiter):
            entries += [(common, "CommonPrefixes")] if common else _versions(bucket, key)
        begin: Query = ()
        for page, last in _pages(entries, size):
            expected = Expected(200, document=(by_kind(page), "false" if last else "true"), parse=listing)
            answer = yield Step("GET", f"/{name}", query + begin), expected
            if last:
                return
            found = document_of(answer)
            begin = (("key-marker", page[-1][0]),)
            if marker := text_of(found, "NextVersionIdMarker"):
                begin += (("version-id-marker", marker),)


def _shown(bucket: Bucket, key: str, common: str | None) -> Entry:
    if common is not None:
        return common, "CommonPrefixes"
    version = bucket.keys[key][0]
    return key, "Contents", f'"{version.etag}"', str(len(version.data))


def _versions(bucket: Bucket, key: str) -> list[Entry]:
    found: list[Entry] = []
    for number, version in enumerate(bucket.keys[key]):
        latest = "true" if number == 0 else "false"
        if version.marker:
            found.append((key, "DeleteMarker", "", "", version.id, latest))
        else:
            found.append((key, "Version", f'"{version.etag}"', str(len(version.data)), version.id, latest))
    return found


def _pages(entries: list[Entry], size: int) -> list[tuple[list[Entry], bool]]:
    """Entries by pages, each with whether it is the last; there is always one."""
    pages = [entries[at : at + size] for at in range(0, len(entries), size)]
    return [(page, number == len(pages) - 1) for number, page in enumerate(pages)] or [([], True)]
