"""What tests of reading work with."""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import TestCase

from post3tw.model.version import Placement
from post3tw.service.ingest import ingest
from post3tw.service.interfaces import IByteSource
from post3tw.service.reading import Piece, open_pieces
from post3tw.service.store import Store
from post3tw.storage.blobs.files import FileBlobs
from tests.service.bodies import HeldThreads
from tests.service.stores import BytesBody, make_store
from tests.storage.faulty import FaultyFiles, open_files

LIMIT = 1 << 40


class ReadingCase(TestCase):
    """A store with blobs in it."""

    async def open_store(self) -> Store:
        """A store over files that can fail."""
        store = await make_store(self, files=True)
        assert isinstance(store.blobs, FileBlobs)
        self.files = FaultyFiles()
        self.blobs = evolve(store.blobs, files=self.files)
        return evolve(store, blobs=self.blobs)

    def open_files(self) -> list[str]:
        """The files of blobs that are open."""
        return open_files(self.blobs.directory, self.blobs.temporary)

    async def put(self, store: Store, data: bytes) -> Placement:
        """Make a blob."""
        stored = await ingest(store, BytesBody(data), (), max_size=LIMIT, inline_max=0)
        return stored.placement

    def held(self, store: Store) -> tuple[Store, HeldThreads]:
        """The same store with a disk that does nothing until it is told to."""
        disk = HeldThreads()
        return evolve(store, blobs=evolve(self.blobs, threads=disk)), disk

    async def source(self, store: Store, *pieces: Piece) -> IByteSource:
        """The source of some pieces."""
        body = await open_pieces(store, pieces)
        assert not isinstance(body, bytes)
        return body

    def flip(self, placement: Placement, position: int) -> None:
        """Turn a bit of a blob on disk."""
        assert placement.blob is not None
        with open(self.blobs.path(placement.blob), "r+b") as file:
            file.seek(position)
            (byte,) = file.read(1)
            file.seek(position)
            file.write(bytes([byte ^ 1]))
