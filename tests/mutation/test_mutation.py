"""The judge of tests, judged."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.mutation.__main__ import equivalents
from tests.mutation.mutants import mutants
from tests.mutation.suspects import SUSPECTS

_JUDGE = """
from tests.mutation.__main__ import score
from tests.mutation.judging import Suspect
score("sample", Suspect("tests.mutation.sample", ("tests.mutation.sampled",)), 2, 1)
"""


def changes(source: str) -> list[str]:
    """What is changed in the mutants of a source."""
    return [mutant.what.partition("  ~ ")[2] for mutant in mutants(source)]


class MutantTests(SynchronousTestCase):
    """What is changed, and what is not."""

    def test_changes(self) -> None:
        """Bounds, logic, arithmetic, values and statements are changed."""
        self.assertEqual(changes("x = a < b"), ["Lt 0 is LtE", "Lt 0 is GtE"])
        self.assertEqual(changes("x = a and not b"), ["Or", "without not"])
        self.assertEqual(changes("x = a + 2"), ["Sub", "2 is 3"])
        self.assertEqual(changes("x = b'a', 'b', True"), ["b'a' is b'aX'", "'b' is 'bX'", "True is False"])
        self.assertEqual(changes("def f():\n    return x"), ["return None"])
        self.assertEqual(changes("if f(): g()"), ["condition negated", "left out"])
        self.assertEqual(changes("raise E"), ["left out"])

    def test_not_code(self) -> None:
        """Annotations, prose, and how things show themselves are not."""
        for source in ("'Some prose.'", "x: 'T' = a", "def f(a: 'T') -> 'U': pass", "x = field(repr=False)"):
            self.assertEqual(changes(source), [], source)

    def test_one_change_each(self) -> None:
        """Every mutant is the source with one change: no two are alike."""
        import ast

        source = Path(sys.modules[mutants.__module__].__file__ or "").read_text()
        made = [ast.unparse(mutant.tree) for mutant in mutants(source)]
        self.assertEqual(len(made), len(set(made)))
        self.assertNotIn(ast.unparse(ast.parse(source)), made)

    def test_suspects_exist(self) -> None:
        """Every module that is judged has a source and tests, and no list of equivalents is of nothing."""
        root = Path(__file__).parents[2]
        for suspect in SUSPECTS.values():
            for name in (suspect.module, *suspect.tests):
                self.assertTrue((root / (name.replace(".", "/") + ".py")).exists(), name)
        for name, suspect in SUSPECTS.items():
            source = (root / (suspect.module.replace(".", "/") + ".py")).read_text()
            known = equivalents(name)
            if known:
                self.assertLessEqual(known, {mutant.name for mutant in mutants(source)}, name)


class JudgeTests(SynchronousTestCase):
    """A module with a bound, and tests that forget it."""

    def test_score(self) -> None:
        """What the tests miss is named, and nothing else."""
        root = Path(__file__).parents[2]
        done = subprocess.run([sys.executable, "-c", _JUDGE], cwd=root, capture_output=True, text=True, check=True)
        survivors = {line.partition("  ~ ")[2] for line in done.stdout.splitlines() if line.startswith("survived")}
        self.assertEqual(survivors, {"Lt 0 is LtE", "6 is 7"}, done.stdout)
        self.assertIn("sample: 5 of 7 noticed", done.stdout)
