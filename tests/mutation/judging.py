"""Whether tests notice that a module is wrong.

Theory of operation. The parent imports the tests and all that they need, once, but no reactor. For each mutant it
forks: the child forgets the module and all that imports it, imports them again with the mutant in the module's place,
and runs the tests up to the first that fails. Its exit status says whether one did. So a mutant costs a fork, the
import of few modules and the quickest test that notices; nothing is written to any file, and no two mutants know of
each other.

What is not noticed within a multiple of the time that the tests normally take counts as noticed: the mutant hangs.
"""

from __future__ import annotations

import ast
import importlib
import importlib.abc
import importlib.util
import os
import signal
import sys
import time
import unittest
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType

from attrs import define, field, frozen
from hypothesis import settings

_OURS = ("post3tw", "tests")


class Verdict(Enum):
    """What became of a mutant."""

    KILLED = "killed"
    TIMED_OUT = "timed out"
    SURVIVED = "survived"


@frozen
class Suspect:
    """A module, and the tests that are directly about it, the quickest first."""

    module: str
    tests: tuple[str, ...]

    def prepare(self) -> None:
        """Import all that is needed, in the parent."""
        # Slow is not wrong, and the same mutant must meet the same examples.
        settings.register_profile("mutation", deadline=None, derandomize=True, database=None)
        settings.load_profile("mutation")
        for name in (self.module, *self.tests):
            importlib.import_module(name)
        if "twisted.internet.reactor" in sys.modules:
            raise RuntimeError("A reactor does not survive a fork: some test imports it too early.")

    def source(self) -> str:
        """The module's source."""
        file = sys.modules[self.module].__file__
        assert file is not None
        with open(file, encoding="utf-8") as opened:
            return opened.read()


# -- in a child -------------------------------------------------------------------------------------------------------


def run(suspect: Suspect, code: CodeType | None) -> bool:
    """Run the tests with this code as the module, or as it is; whether all pass. For a child that then ends."""
    if code is not None:
        forget(suspect.module)
        sys.meta_path.insert(0, _Instead(suspect.module, code))
    loader = unittest.TestLoader()
    result = unittest.TestResult()
    result.failfast = True
    for name in suspect.tests:
        loader.loadTestsFromModule(importlib.import_module(name)).run(result)
        if not result.wasSuccessful():
            return False
    return result.testsRun > 0


def forget(module: str) -> None:
    """Forget that a module was imported, and everything that imports it, at whatever remove."""
    importers = _importers()
    doomed, waiting = set(), [module]
    while waiting:
        name = waiting.pop()
        if name not in doomed:
            doomed.add(name)
            waiting += importers.get(name, ())
    for name in doomed:
        sys.modules.pop(name, None)
        parent, _, child = name.rpartition(".")
        if parent in sys.modules and hasattr(sys.modules[parent], child):
            delattr(sys.modules[parent], child)


def _importers() -> dict[str, set[str]]:
    """Which of our modules import each of our modules."""
    found: dict[str, set[str]] = {}
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in _OURS and module.__file__ is not None:
            for imported in _imports(module.__file__):
                found.setdefault(imported, set()).add(name)
    return found


def _imports(path: str) -> Iterable[str]:
    with open(path, encoding="utf-8") as file:
        tree = ast.parse(file.read())
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@define
class _Instead(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports other code in a module's place."""

    _name: str
    _code: CodeType

    def find_spec(self, name: str, path: object, target: object = None) -> ModuleSpec | None:
        """See MetaPathFinder."""
        return importlib.util.spec_from_loader(name, self) if name == self._name else None

    def exec_module(self, module: ModuleType) -> None:
        """See Loader."""
        exec(self._code, module.__dict__)


# -- in the parent ----------------------------------------------------------------------------------------------------


@define(eq=False)
class Bench:
    """Judges mutants, several at a time.

    Attributes:
        suspect: what they are mutants of; prepared.
        patience: seconds that one may take.
    """

    suspect: Suspect
    patience: float
    _running: dict[int, tuple[float, Callable[[Verdict], None]]] = field(factory=dict, init=False)

    def judge(self, code: CodeType | None, told: Callable[[Verdict], None], at_most: int) -> None:
        """Begin to judge one, when fewer than `at_most` are being judged. `told` is called when it is known."""
        while len(self._running) >= at_most:
            self._wait()
        child = os.fork()
        if child == 0:
            _in_child(self.suspect, code)
        self._running[child] = time.monotonic() + self.patience, told

    def finish(self) -> None:
        """Wait for all of them."""
        while self._running:
            self._wait()

    def _wait(self) -> None:
        for child, (deadline, told) in list(self._running.items()):
            ended, status = os.waitpid(child, os.WNOHANG)
            if not ended and time.monotonic() > deadline:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                ended, verdict = child, Verdict.TIMED_OUT
            else:
                verdict = Verdict.SURVIVED if status == 0 else Verdict.KILLED
            if ended:
                del self._running[child]
                told(verdict)
        time.sleep(0.005)


def _in_child(suspect: Suspect, code: CodeType | None) -> None:
    """Does not return."""
    status = 1
    try:
        quiet = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(quiet, number)
        status = 0 if run(suspect, code) else 1
    finally:
        os._exit(status)


def judge_all(
    suspect: Suspect, codes: Sequence[CodeType], told: Callable[[int, Verdict], None], jobs: int, patience: float
) -> None:
    """Judge mutants; `told` gets the number of each and what became of it."""
    bench = Bench(suspect, patience)
    for number, code in enumerate(codes):

        def report(verdict: Verdict, number: int = number) -> None:
            told(number, verdict)

        bench.judge(code, report, jobs)
    bench.finish()


def normal_time(suspect: Suspect) -> float:
    """Seconds that the tests take when nothing is wrong.

    Raises:
        RuntimeError: something is.
    """
    verdicts: list[Verdict] = []
    bench = Bench(suspect, 300)
    began = time.monotonic()
    bench.judge(None, verdicts.append, 1)
    bench.finish()
    if verdicts != [Verdict.SURVIVED]:
        raise RuntimeError(f"The tests of {suspect.module} fail as it is.")
    return time.monotonic() - began
