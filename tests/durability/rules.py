"""What the rules of the model have in common: names, values and descriptions chosen at random.

A rule is a generator: it yields requests together with what must be answered, is sent the answers, and changes the
model as it goes.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from random import Random
from urllib.parse import quote

from attrs import define, field

from tests.durability.answers import STRANGE_ID, Answer, Step
from tests.durability.dictstore import NULL, Bucket, Described, Lock, Refused, Version, etag_of
from tests.durability.expectations import Expected

Asked = tuple[Step, Expected]
Rule = Generator[Asked, Answer, None]
Pairs = list[tuple[str, str]]
Query = tuple[tuple[str, str | None], ...]

BUCKETS = ("model-plain", "model-versions", "model-locks")
LOCKED = BUCKETS[2]
KEYS = ("a", "a/", "a/b", "a/b/c", "a+b", "b", "é", "%2e", "..", "c d", "\U0001f600", "z/" + "k" * 1022, "Z", "a//b")
SIZES = (0, 1, 7, 1000, 1000, 1000, 65_536, 65_537, 150_000)
UNTIL = ("2050-01-01T00:00:00Z", "2060-01-01T00:00:00Z")


@define
class Rules:
    """Chooses, and knows the model.

    Attributes:
        random: decides.
        buckets: the model.
    """

    random: Random
    buckets: dict[str, Bucket] = field(factory=dict)
    _serial: Iterator[int] = field(factory=lambda: iter(range(1 << 62)))

    # -- chances

    def chance(self, percent: int) -> bool:
        """Whether something happens that does so often."""
        return self.random.randrange(100) < percent

    def some_bucket(self) -> tuple[str, Bucket | None]:
        """A bucket, that is rarely not there."""
        name = "model-none" if self.chance(1) else self.random.choice(BUCKETS)
        return name, self.buckets.get(name)

    def some_key(self, bucket: Bucket | None, known: int = 60) -> str:
        """A key, often one that is there."""
        if bucket is not None and bucket.keys and self.chance(known):
            return self.random.choice(sorted(bucket.keys))
        return self.random.choice(KEYS)

    def some_version(self, bucket: Bucket, key: str, percent: int = 40) -> str | None:
        """A version id of a key, mostly one that is there; None for the latest."""
        if not self.chance(percent):
            return None
        versions = bucket.keys.get(key)
        if not versions or self.chance(8):
            return self.random.choice((NULL, STRANGE_ID))
        return self.random.choice(versions).id

    def some_data(self) -> bytes:
        """Bytes unlike all others, unless there are none."""
        size = self.random.choice(SIZES)
        stamp = b"%d." % next(self._serial)
        return (stamp * (size // len(stamp) + 1))[:size]

    def some_description(self, bucket: Bucket) -> tuple[Described, Pairs]:
        """What is said about an object, and the headers that say it."""
        described, headers = Described(), Pairs()
        if self.chance(30):
            described.__init__(content_type=self.random.choice(("text/plain", "image/x+y")))  # type: ignore[misc]
            headers.append(("content-type", described.content_type))
        metadata: tuple[tuple[str, str], ...] = ()
        if self.chance(30):
            metadata = tuple(
                (name, self.random.choice(("x", "two words", "%41"))) for name in sorted(self.random.sample("abc", 2))
            )
            headers += [(f"x-amz-meta-{name}", value) for name, value in metadata]
        tags: tuple[tuple[str, str], ...] = ()
        if self.chance(25):
            tags = tuple((name, self.random.choice(("1", "a b", "é"))) for name in self.random.sample("stuv", 2))
            headers.append(("x-amz-tagging", "&".join(f"{name}={quote(value)}" for name, value in tags)))
        public = self.chance(15)
        if public:
            headers.append(("x-amz-acl", "public-read"))
        lock = self.some_lock(headers) if bucket.lock and self.chance(40) else Lock()
        return Described(described.content_type, metadata, tags, public, lock), headers

    def some_lock(self, headers: Pairs) -> Lock:
        """A lock, and its headers."""
        mode = until = hold = None
        if self.chance(70):
            mode = self.random.choice(("GOVERNANCE", "GOVERNANCE", "COMPLIANCE"))
            until = self.random.choice(UNTIL)
            headers += [("x-amz-object-lock-mode", mode), ("x-amz-object-lock-retain-until-date", until)]
        if self.chance(30):
            hold = self.chance(50)
            headers.append(("x-amz-object-lock-legal-hold", "ON" if hold else "OFF"))
        return Lock(mode, until, hold)

    def bypass(self, headers: Pairs) -> bool:
        """Whether a request bypasses governance."""
        if self.chance(40):
            headers.append(("x-amz-bypass-governance-retention", "true"))
            return True
        return False

    # -- requests and answers

    def object_path(self, name: str, key: str) -> str:
        """The path of an object, quoted."""
        return f"/{name}/{quote(key)}"

    def query(self, version_id: str | None = None, **values: str | None) -> Query:
        """A query; names are written with `-` for `_`."""
        pairs = [(name.replace("_", "-"), value) for name, value in values.items()]
        return tuple(pairs) if version_id is None else (*pairs, ("versionId", version_id))

    def fill(self, name: str, key: str, described: Described, data: bytes, step: Step, etag: str | None = None) -> Rule:
        """A request that makes a new version of a key and is answered 200, with the id and the ETag in headers."""
        bucket = self.buckets[name]
        etag = etag or etag_of(data)
        answer = yield step, Expected(200, headers={"etag": f'"{etag}"', **self.fixed_id(bucket)})
        bucket.add(key, Version(self.new_id(bucket, answer), data, etag, described=described))

    def fixed_id(self, bucket: Bucket) -> dict[str, str | None]:
        """The header with the id of a new version, as far as it is known beforehand."""
        return {} if bucket.versioning == "Enabled" else {"x-amz-version-id": None}

    def new_id(self, bucket: Bucket, answer: Answer) -> str:
        """The id of a new version."""
        if bucket.versioning != "Enabled":
            return NULL
        given = answer.headers.get("x-amz-version-id", "")
        known = {each.id for versions in bucket.keys.values() for each in versions}
        assert given.startswith("«") and given not in known, f"not a new version id: {given!r}"
        return given


def refusal(refused: Refused) -> Expected:
    """What a refused request is answered."""
    return Expected(refused.status, refused.code, refused.headers)


NO_BUCKET = Expected(404, "NoSuchBucket")
