"""Flame graphs of sampled stacks."""

from __future__ import annotations

from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.flames import WIDTH, picture, read_stacks

STACKS = ["main (a.py:1);serve (a.py:2);read <x> (b.py:3) 6", "main (a.py:1);serve (a.py:9) 2", "other (a.py:1) 90"]


class FlameTests(SynchronousTestCase):
    """What is drawn of a few stacks."""

    def test_counts_from_the_word_on(self) -> None:
        """Frames below the word are cut off, stacks without it left out; lines of one function are one frame."""
        root = read_stacks(STACKS, "serve")
        self.assertEqual((root.seen, list(root.calls)), (8, ["serve (a.py)"]))
        served = root.calls["serve (a.py)"]
        self.assertEqual((served.seen, served.calls["read <x> (b.py)"].seen), (8, 6))

    def test_widths_are_shares(self) -> None:
        """The picture is XML, and a box is as wide as its share of the time."""
        svg = ElementTree.fromstring(picture(read_stacks(STACKS, "serve")))
        boxes = svg.findall(".//{http://www.w3.org/2000/svg}rect")
        self.assertEqual([round(float(box.get("width", "")) / WIDTH, 2) for box in boxes], [1.0, 0.75])
        self.assertIn("read <x> (b.py): 75.0 %", "".join(svg.itertext()))
