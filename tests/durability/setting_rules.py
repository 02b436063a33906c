"""Rules of the model: what is changed about buckets and objects without writing them anew."""

from __future__ import annotations

from xml.etree import ElementTree

from attrs import evolve

from tests.durability.answers import Step
from tests.durability.dictstore import Bucket, Refused
from tests.durability.expectations import Expected, text_of
from tests.durability.rules import BUCKETS, LOCKED, NO_BUCKET, UNTIL, Pairs, Rule, Rules, refusal

_VERSIONING = "<VersioningConfiguration><Status>%s</Status></VersioningConfiguration>"
_RETENTION = "<Retention><Mode>%s</Mode><RetainUntilDate>%s</RetainUntilDate></Retention>"


class SettingRules(Rules):
    """See the module's text."""

    def make_bucket(self) -> Rule:
        """Make a bucket, or one that is there already."""
        name = self.random.choice(BUCKETS)
        headers = (("x-amz-bucket-object-lock-enabled", "true"),) if name == LOCKED else ()
        step = Step("PUT", f"/{name}", headers=headers)
        if name in self.buckets:
            yield step, Expected(409, "BucketAlreadyOwnedByYou") if headers else Expected(200)
            return
        yield step, Expected(200)
        self.buckets[name] = Bucket(lock=name == LOCKED, versioning="Enabled" if name == LOCKED else "")

    def remove_bucket(self) -> Rule:
        """Remove a bucket, which must be empty."""
        name, bucket = self.some_bucket()
        if bucket is None:
            yield Step("DELETE", f"/{name}"), NO_BUCKET
        elif bucket.keys:
            yield Step("DELETE", f"/{name}"), Expected(409, "BucketNotEmpty")
        elif not bucket.uploads:
            yield Step("DELETE", f"/{name}"), Expected(204)
            del self.buckets[name]

    def versioning(self) -> Rule:
        """Look at the state of versioning, or change it."""
        name, bucket = self.some_bucket()
        query = self.query(versioning=None)
        if bucket is None:
            yield Step("GET", f"/{name}", query), NO_BUCKET
            return
        state = self.random.choice(("Enabled", "Suspended"))
        if self.chance(40):
            parse = _child("Status")
            yield Step("GET", f"/{name}", query), Expected(200, document=bucket.versioning, parse=parse)
            return
        step = Step("PUT", f"/{name}", query, body=(_VERSIONING % state).encode())
        if bucket.lock and state == "Suspended":
            yield step, Expected(409, "InvalidBucketState")
            return
        if name == BUCKETS[0] and not self.chance(10):
            return  # one bucket is without versioning for longer
        yield step, Expected(200)
        bucket.versioning = state

    def _target(self, percent: int = 85) -> tuple[str, Bucket, str, str | None] | None:
        name, bucket = self.some_bucket()
        if bucket is None:
            return None
        key = self.some_key(bucket, percent)
        return name, bucket, key, self.some_version(bucket, key)

    def tagging(self) -> Rule:
        """Read, write and remove the tags of an object."""
        if (target := self._target()) is None:
            return
        name, bucket, key, version_id = target
        path, query = self.object_path(name, key), self.query(version_id, tagging=None)
        method = self.random.choice(("GET", "PUT", "DELETE"))
        tags = tuple((tag, self.random.choice(("1", "a b", "é"))) for tag in self.random.sample("stuvw", 3))
        shown = "".join(f"<Tag><Key>{name}</Key><Value>{value}</Value></Tag>" for name, value in tags)
        body = f"<Tagging><TagSet>{shown}</TagSet></Tagging>".encode() if method == "PUT" else b""
        step = Step(method, path, query, body=body)
        try:
            found = bucket.find(key, version_id)
        except Refused as refused:
            yield step, _bare(refused)
            return
        if method == "GET":
            yield step, Expected(200, document=sorted(found.described.tags), parse=_tags)
        else:
            yield step, Expected(200 if method == "PUT" else 204)
            bucket.describe(key, found, tags=tags if method == "PUT" else ())

    def acl(self) -> Rule:
        """Make an object public, or private."""
        if (target := self._target()) is None:
            return
        name, bucket, key, version_id = target
        public = self.chance(50)
        headers = (("x-amz-acl", "public-read" if public else "private"),)
        step = Step("PUT", self.object_path(name, key), self.query(version_id, acl=None), headers)
        try:
            found = bucket.find(key, version_id)
        except Refused as refused:
            yield step, _bare(refused)
            return
        yield step, Expected(200)
        bucket.describe(key, found, public=public)

    def retention(self) -> Rule:
        """Look at a version's retention, or change it, which is not always allowed."""
        if (target := self._target()) is None:
            return
        name, bucket, key, version_id = target
        path, query = self.object_path(name, key), self.query(version_id, retention=None)
        mode, until = self.random.choice(("GOVERNANCE", "GOVERNANCE", "COMPLIANCE")), self.random.choice(UNTIL)
        headers = Pairs()
        reads, bypass = self.chance(40), self.bypass(headers)
        step = Step("PUT", path, query, tuple(headers), (_RETENTION % (mode, until)).encode())
        if reads:
            step = Step("GET", path, query)
        if (found := (yield from self._lockable(bucket, key, version_id, step))) is None:
            return
        lock = found.described.lock
        if reads:
            if lock.mode is None:
                yield step, Expected(404, "NoSuchObjectLockConfiguration")
            else:
                yield step, Expected(200, document=lock.mode, parse=_child("Mode"))
        elif lock.retains(bypass) and not (mode == lock.mode and until >= (lock.until or "")):
            yield step, Expected(403, "AccessDenied")
        else:
            yield step, Expected(200)
            bucket.describe(key, found, lock=evolve(lock, mode=mode, until=until))

    def legal_hold(self) -> Rule:
        """Hold a version, or let it go, or look whether it is held."""
        if (target := self._target()) is None:
            return
        name, bucket, key, version_id = target
        path, query = self.object_path(name, key), self.query(version_id, legal_hold=None)
        reads, hold = self.chance(40), self.chance(30)
        body = b"" if reads else f"<LegalHold><Status>{'ON' if hold else 'OFF'}</Status></LegalHold>".encode()
        step = Step("GET" if reads else "PUT", path, query, body=body)
        if (found := (yield from self._lockable(bucket, key, version_id, step))) is None:
            return
        lock = found.described.lock
        if not reads:
            yield step, Expected(200)
            bucket.describe(key, found, lock=evolve(lock, hold=hold))
        elif lock.hold is None:
            yield step, Expected(404, "NoSuchObjectLockConfiguration")
        else:
            yield step, Expected(200, document="ON" if lock.hold else "OFF", parse=_child("Status"))

    def _lockable(self, bucket: Bucket, key: str, version_id: str | None, step: Step):  # type: ignore[no-untyped-def]
        """The version that a request is about; None when it is refused, which is asked here."""
        if not bucket.lock:
            yield step, Expected(400, "InvalidRequest")
            return None
        try:
            return bucket.find(key, version_id)
        except Refused as refused:
            yield step, _bare(refused)
            return None


def _bare(refused: Refused) -> Expected:
    return refusal(evolve(refused, headers={}))


def _child(name: str):  # type: ignore[no-untyped-def]
    return lambda page: text_of(page, name)


def _tags(page: ElementTree.Element) -> object:
    return sorted((text_of(each, "Key"), text_of(each, "Value")) for each in page.iter("Tag"))
