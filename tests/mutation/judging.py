"""Whether tests notice that a module is wrong.

Theory of operation. The parent imports the tests and all that they need, once, but no reactor. For each mutant it
forks: the child forgets the module and all that imports it, imports them again with the mutant in the module's place,
and runs the tests up to the first that fails. Its exit status says whether one did. Who imports whom is found out once,
and a rehearsal without a mutant says how long each test takes: the quickest run first. So a mutant costs a fork, the
import of few modules and the quickest test that notices; nothing is written to any file, and no two mutants know of
each other.

What is not noticed within a multiple of the time that the tests normally take counts as noticed: the mutant hangs.
"""

from __future__ import annotations

import ast
import gc
import importlib
import importlib.abc
import importlib.util
import json
import os
import signal
import sys
import time
import unittest
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType
from typing import NoReturn, ParamSpec

from attrs import define, field, frozen
from hypothesis import HealthCheck, settings

P = ParamSpec("P")

_OURS = ("post3tw", "tests")


class Verdict(Enum):
    """What became of a mutant."""

    KILLED = "killed"
    TIMED_OUT = "timed out"
    SURVIVED = "survived"


@frozen
class Suspect:
    """A module, and the tests that are directly about it."""

    module: str
    tests: tuple[str, ...]

    def prepare(self) -> None:
        """Import all that is needed, in the parent."""
        # Slow is not wrong, and the same mutant must meet the same examples.
        settings.register_profile(
            "mutation", deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
        )
        settings.load_profile("mutation")
        for name in (self.module, *self.tests):
            importlib.import_module(name)
        if "twisted.internet.reactor" in sys.modules:
            raise RuntimeError("A reactor does not survive a fork: some test imports it too early.")
        gc.freeze()  # a collection in a child would copy every page of the parent

    @property
    def file(self) -> str:
        """Where the module is."""
        file = sys.modules[self.module].__file__
        assert file is not None
        return file

    def source(self) -> str:
        """The module's source."""
        with open(self.file, encoding="utf-8") as opened:
            return opened.read()

    def code(self, source: str | ast.Module) -> CodeType:
        """What is run in the module's place."""
        return compile(source, self.file, "exec")


# -- in a child -------------------------------------------------------------------------------------------------------


def run(
    suspect: Suspect, code: CodeType, doomed: Iterable[str], seconds: Mapping[str, float], result: unittest.TestResult
) -> bool:
    """Run the tests with this code as the module, the quickest first; whether all pass. For a child that then ends."""
    forget(doomed)
    sys.meta_path.insert(0, _Instead(suspect.module, code))
    loader = unittest.TestLoader()
    suites = [loader.loadTestsFromModule(importlib.import_module(name)) for name in suspect.tests]
    tests = {test.id(): test for suite in suites for test in _flat(suite)}
    in_order = sorted(tests.values(), key=lambda test: seconds.get(test.id(), 0))
    result.failfast = True
    unittest.TestSuite(in_order).run(result)
    return result.testsRun > 0 and result.wasSuccessful()


def _flat(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from _flat(test)
        else:
            yield test


def _judged(suspect: Suspect, code: CodeType, rehearsal: Rehearsal) -> bool:
    return run(suspect, code, rehearsal.doomed, rehearsal.seconds, unittest.TestResult())


def _rehearsed(suspect: Suspect, code: CodeType, doomed: Iterable[str], told: int) -> bool:
    result = _Timed()
    passed = run(suspect, code, doomed, {}, result)
    with open(told, "w") as pipe:
        json.dump({"seconds": result.seconds, "wrong": [str(test) + why for test, why in result.wrong()]}, pipe)
    return passed


def last_act(act: Callable[P, bool], *args: P.args, **kwargs: P.kwargs) -> NoReturn:
    """Do something in silence, and end this process: by 0 when it says that all is well."""
    status = 1
    try:
        quiet = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(quiet, number)
        status = 0 if act(*args, **kwargs) else 1
    finally:
        os._exit(status)


class _Timed(unittest.TestResult):
    """Knows how long each test took, in seconds of this process."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: dict[str, float] = {}
        self._began = 0.0

    def startTest(self, test: unittest.TestCase) -> None:
        """See TestResult."""
        super().startTest(test)
        self._began = time.process_time()

    def stopTest(self, test: unittest.TestCase) -> None:
        """See TestResult."""
        self.seconds[test.id()] = time.process_time() - self._began
        super().stopTest(test)

    def wrong(self) -> list[tuple[unittest.TestCase, str]]:
        """The tests that failed, and how."""
        return self.failures + self.errors


def forget(modules: Iterable[str]) -> None:
    """Forget that modules were imported."""
    for name in modules:
        sys.modules.pop(name, None)
        parent, _, child = name.rpartition(".")
        if parent in sys.modules and hasattr(sys.modules[parent], child):
            delattr(sys.modules[parent], child)


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
        module.__file__ = self._code.co_filename  # some tests read the source of what they test
        exec(self._code, module.__dict__)


# -- in the parent ----------------------------------------------------------------------------------------------------


def dependents(module: str) -> frozenset[str]:
    """A module that is imported, and everything of ours that imports it, at whatever remove."""
    importers = _importers()
    found: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += importers.get(name, ())
    return frozenset(found)


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


@frozen
class Rehearsal:
    """How the tests go when nothing is wrong.

    Attributes:
        doomed: what a mutant's child imports anew.
        seconds: of each test, by its id.
        patience: seconds that a mutant may take.
    """

    doomed: frozenset[str]
    seconds: Mapping[str, float]
    patience: float


def rehearse(suspect: Suspect) -> Rehearsal:
    """Run the tests of a suspect, prepared, as it is.

    Raises:
        RuntimeError: one fails.
    """
    doomed = dependents(suspect.module)
    code = suspect.code(suspect.source())  # through what mutants go through as well
    heard, told = os.pipe()
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        os.close(heard)
        last_act(_rehearsed, suspect, code, doomed, told)
    os.close(told)
    with open(heard) as pipe:
        said = json.loads(pipe.read() or "{}")
    if os.waitpid(child, 0)[1] != 0:
        raise RuntimeError(f"The tests of {suspect.module} fail as it is: {said.get('wrong')}")
    return Rehearsal(doomed, said["seconds"], 5 * (time.monotonic() - began) + 10)


@define(eq=False)
class Bench:
    """Judges mutants of a suspect, several at a time."""

    _suspect: Suspect
    _rehearsal: Rehearsal
    _running: dict[int, tuple[float, Callable[[Verdict], None]]] = field(factory=dict, init=False)

    def judge(self, code: CodeType, told: Callable[[Verdict], None], at_most: int) -> None:
        """Begin to judge one, when fewer than `at_most` are being judged. `told` is called when it is known."""
        while len(self._running) >= at_most:
            self._wait()
        child = os.fork()
        if child == 0:
            last_act(_judged, self._suspect, code, self._rehearsal)
        self._running[child] = time.monotonic() + self._rehearsal.patience, told

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


def judge_all(
    suspect: Suspect, codes: Sequence[CodeType], told: Callable[[int, Verdict], None], jobs: int, rehearsal: Rehearsal
) -> None:
    """Judge mutants; `told` gets the number of each and what became of it."""
    bench = Bench(suspect, rehearsal)
    for number, code in enumerate(codes):

        def report(verdict: Verdict, number: int = number) -> None:
            told(number, verdict)

        bench.judge(code, report, jobs)
    bench.finish()
