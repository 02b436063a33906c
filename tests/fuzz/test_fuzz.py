"""The kept inputs, which were finds or lead somewhere, and a look at whether new ones would be."""

from __future__ import annotations

import os
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz.cuts import thoroughly
from tests.fuzz.engine import Changes, Find, Fuzzer, Target, tried
from tests.fuzz.kept import HERE, corpus
from tests.fuzz.targets import TARGETS

SEED = int(os.environ.get("POST3_SEED", "20261121"))
SECONDS = 0.15
"""Of processor time for each target; `python -m tests.fuzz` is for more."""


class CorpusTests(SynchronousTestCase):
    """Every parser, on every input that is kept."""

    def test_finds_stay_found(self) -> None:
        """No kept input raises, takes 100 ms or takes 64 MiB."""
        for target in TARGETS.values():
            for data in (*target.seeds, *corpus(target.name)):
                find = tried(target, data)
                if find is not None:
                    self.fail(f"{find.target}: {find.data!r}\n{find.reason}")

    def test_streams_are_read_alike(self) -> None:
        """Bodies in the corpus are read alike wherever they are cut."""
        with thoroughly():
            for name in ("aws_chunked", "chunks", "post_form"):
                for data in (*TARGETS[name].seeds, *corpus(name)):
                    TARGETS[name].run(data)

    def test_corpora_have_targets(self) -> None:
        """There is no corpus of nothing, and no target without one."""
        kept = {path.stem for path in (HERE / "corpus").iterdir()}
        self.assertEqual(kept, set(TARGETS))

    def test_new_inputs(self) -> None:
        """Nor does an input that was made now."""
        for target in TARGETS.values():
            fuzzer = Fuzzer(target, Random(f"{SEED} {target.name}"))
            fuzzer.run(SECONDS, corpus(target.name))
            for find in fuzzer.finds.values():
                self.fail(f"{find.target}: {find.data[:1000]!r}\n{find.reason}")


def _bad(data: bytes) -> None:
    if data.startswith(b"ab"):
        raise ValueError("seeded")


def _slow(data: bytes) -> None:
    if b"slow" in data:
        sum(range(20_000_000))


def _large(data: bytes) -> None:
    if b"large" in data:
        bytes(100 << 20)


class EngineTests(SynchronousTestCase):
    """The fuzzer finds what is put there for it."""

    def test_an_exception(self) -> None:
        """An input that raises is a find, with where it did."""
        fuzzer = Fuzzer(Target("bad", _bad, (b"b",), (b"a",)), Random(1))
        fuzzer.run(0.5)
        (find,) = fuzzer.finds.values()
        self.assertTrue(find.data.startswith(b"ab"))
        self.assertIn("ValueError: seeded", find.reason)
        self.assertIn("_bad", find.kind)

    def test_time_and_memory(self) -> None:
        """So is one that takes too long or too much."""
        for run, data, word in ((_slow, b"slow", "Slow"), (_large, b"large", "Large")):
            find = tried(Target("x", run, (data,)), data)
            assert isinstance(find, Find)
            self.assertTrue(find.reason.startswith(word))
            self.assertIsNone(tried(Target("x", run, (data,)), b"other"))

    def test_guided(self) -> None:
        """Coverage leads into a grammar: chunks are found by their parser's edges, from an empty input."""
        target = TARGETS["aws_chunked"]
        blind = Target(target.name, target.run, (b"\0\0\0\0",), target.tokens)
        fuzzer = Fuzzer(blind, Random(SEED))
        fuzzer.run(1.0)
        first = Fuzzer(blind, Random(SEED))
        first.run(0.0)
        self.assertGreater(len(fuzzer.edges.all), 1.5 * len(first.edges.all))

    def test_repeatable(self) -> None:
        """A seed says which inputs are made."""
        made = [Changes(Random(5), (b"x",)).of(b"some input", (b"other", b"one")) for _ in range(2)]
        self.assertEqual(made[0], made[1])
