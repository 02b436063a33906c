"""Random operations on versions, compared with a plain model of what S3 says."""

from __future__ import annotations

import random

from attrs import define, field

from post3tw.model.bucket import Versioning
from post3tw.storage.index.transactions.objects import (
    copy_version,
)
from tests.storage.index.object_case import ANY, ENABLED, NEVER, NOW, SUSPENDED, ObjectsCase


@define
class Model:
    """What S3 says that a versioned key has, in the plainest way: a list of [version id, content or None]."""

    versioning: Versioning = NEVER
    keys: dict[bytes, list[tuple[str, bytes | None]]] = field(factory=dict)

    def add(self, key: bytes, version_id: str, content: bytes | None) -> None:
        """Put a version or a delete marker on top."""
        stack = self.keys.setdefault(key, [])
        if version_id == "null":
            stack[:] = [entry for entry in stack if entry[0] != "null"]
        stack.append((version_id, content))

    def remove(self, key: bytes, version_id: str) -> None:
        """Remove one version."""
        stack = self.keys.get(key, [])
        stack[:] = [entry for entry in stack if entry[0] != version_id]


class AgainstModelTests(ObjectsCase):
    """Many random operations do what the plain model does."""

    async def test_random_operations(self) -> None:
        """After each of 600 operations every version of every key reads as the model says."""
        chance, model = random.Random(3), Model()
        keys = [b"a", b"b", b"a/b"]
        for step in range(600):
            key, data = chance.choice(keys), b"%d" % step
            stack = model.keys.get(key, [])
            match chance.randrange(8):
                case 0 | 1 | 2:
                    version = await self.put(key, data)
                    model.add(key, version.version_id, data)
                case 3 | 4:
                    deletion = await self.delete(key)
                    if deletion.version_id is not None:
                        model.add(key, deletion.version_id, None)
                    else:
                        model.remove(key, "null")
                case 5 if stack:
                    version_id = chance.choice(stack)[0]
                    await self.delete(key, version_id)
                    model.remove(key, version_id)
                case 6 if stack and stack[-1][1] is not None:
                    source, target = await self.find(key), chance.choice(keys)
                    assert source is not None
                    blank = self.new_version(b"", size=source.size, etag=source.etag)
                    here = self.bucket.id
                    copied = await self.run_tx(copy_version, here, key, source, here, target, blank, ANY, now=NOW)
                    model.add(target, copied.version_id, stack[-1][1])
                case 7 if step > 200 and step % 5 == 0:
                    await self.switch(chance.choice([ENABLED, ENABLED, SUSPENDED]))
            await self.compare(model)
        await self.check_invariants()

    async def compare(self, model: Model) -> None:
        """Every key has the versions of the model, the current one first of all."""
        for key, stack in model.keys.items():
            expected = stack[-1][1] if stack else None
            self.assertEqual(await self.content(key), expected)
            for version_id, content in stack:
                self.assertEqual(await self.content(key, version_id), content)
            rows = await self.rows("SELECT 1 FROM versions WHERE bucket = ? AND key = ?", self.bucket.id, key)
            self.assertEqual(len(rows), len(stack))
