"""All states that power cuts may leave of a recording, each recovered and compared with what was acknowledged."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from random import Random

from attrs import define, field

from tests.durability.disk import Image
from tests.durability.ledger import Ledger
from tests.durability.recording import Recorder
from tests.durability.recovery import Found, Memo, recovered
from tests.durability.states import images
from tests.durability.syscalls import Answer

_SHM = "/dev/shm"
_DATA = "data"
_REMEMBERED = 4096
"""States whose outcome is kept; equal ones come soon after each other."""


@define
class Report:
    """What a replay found.

    Attributes:
        states: how many were tried, equal ones included.
        distinct: how many were recovered.
        operations: of the recording.
        answers: acknowledged requests.
        violations: what was wrong, and after which operation.
    """

    states: int = 0
    distinct: int = 0
    operations: int = 0
    answers: int = 0
    violations: list[str] = field(factory=list)

    def add(self, other: Report) -> None:
        """The sum of both."""
        self.states += other.states
        self.distinct += other.distinct
        self.operations += other.operations
        self.answers += other.answers
        self.violations += other.violations


@define
class Bench:
    """Lays images out in a directory and recovers them.

    Attributes:
        directory: on a file system in memory, or it takes ten times as long.
        distinct: how many images were recovered.
    """

    directory: Path
    distinct: int = 0
    _memo: Memo = field(factory=dict)
    _outcomes: dict[object, Found] = field(factory=dict)
    _laid: dict[str, object] = field(factory=dict)
    _directories: set[str] = field(factory=set)
    _copies: dict[object, str] = field(factory=dict)

    def found_in(self, image: Image) -> Found:
        """What recovery makes of an image."""
        found = self._outcomes.get(image.key)
        if found is None:
            self.distinct += 1
            self._lay_out(image)
            found = recovered(self.directory / _DATA, self._memo, identify=self._identity)
            self._notice_what_is_left()
            if len(self._outcomes) > _REMEMBERED:
                self._outcomes.clear()
            self._outcomes[image.key] = found
        return found

    def _lay_out(self, image: Image) -> None:
        """Make the directory what the image says, changing as little as possible."""
        for path in [path for path, key in self._laid.items() if image.files.get(path) != key]:
            os.unlink(f"{self.directory}/{path}")
            del self._laid[path]
        for path in sorted(self._directories.difference(image.directories), key=len, reverse=True):
            os.rmdir(f"{self.directory}/{path}")
        for path in image.directories:
            if path not in self._directories:
                os.mkdir(f"{self.directory}/{path}")
        self._directories = set(image.directories)
        for path, key in image.files.items():
            if path not in self._laid:
                self._lay_file(image, path, key)

    def _lay_file(self, image: Image, path: str, key: object) -> None:
        target = f"{self.directory}/{path}"
        if os.path.dirname(path) == _DATA:
            _write(target, image.content(path))
        else:
            copy = self._copies.get(key)
            if copy is None:
                copy = self._copies[key] = f"{self.directory}-copy-{len(self._copies)}"
                _write(copy, image.content(path))
            os.link(copy, target)
        self._laid[path] = key

    def _identity(self, blob: str) -> object:
        return self._laid.get(f"{_DATA}/blobs/{blob[6:8]}/{blob}")

    def _notice_what_is_left(self) -> None:
        """Recovery has written to the index, removed files, and made directories that were not there."""
        for path in list(self._laid):
            if os.path.dirname(path) == _DATA or not os.path.exists(f"{self.directory}/{path}"):
                del self._laid[path]
        for entry in os.scandir(f"{self.directory}/{_DATA}"):
            if entry.is_file():
                os.unlink(entry)
        self._directories |= {_DATA, f"{_DATA}/blobs", f"{_DATA}/tmp"}


def _write(path: str, data: bytes) -> None:
    with open(path, "wb", buffering=0) as file:
        file.write(data)


def replay(recorder: Recorder, random: Random, *, after: int = 0, share: float = 1, first_only: bool = False) -> Report:
    """Try every state after every operation.

    Args:
        recorder: with a finished recording, which is used up.
        random: chooses some of the states.
        after: try states only after so many answers.
        share: after which share of the operations, chosen at random.
        first_only: stop at the first violation.
    """
    report, ledger = Report(), Ledger(recorder.deeds, dict(recorder.settled))
    place = Path(tempfile.mkdtemp(prefix="post3-powercut-", dir=_SHM if os.access(_SHM, os.W_OK) else None))
    bench = Bench(place / "state")
    bench.directory.mkdir()
    try:
        for operation in recorder.trace.operations:
            changed = recorder.disk.do(operation)
            report.operations += 1
            if isinstance(operation, Answer):
                changed = ledger.answered(operation.request_id)
            if changed and ledger.acknowledged >= after and random.random() < share:
                for number, image in enumerate(images(recorder.disk, random)):
                    report.states += 1
                    found = bench.found_in(image)
                    for wrong in [*found.accidents, *ledger.violations(found.view)]:
                        where = f"operation {report.operations} {operation!r:.150}, state {number}"
                        report.violations.append(f"{where}: {wrong}")
                if first_only and report.violations:
                    break
    finally:
        report.distinct, report.answers = bench.distinct, ledger.acknowledged
        shutil.rmtree(place)
    return report
