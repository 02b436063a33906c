from __future__ import annotations

from xml.etree import ElementTree

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from benchmarks.cells import Setting
from benchmarks.drawing import Axis
from benchmarks.pictures import picture
from benchmarks.report import amount, text
from benchmarks.results import Results, Row
from benchmarks.runs import Measured

SVG = "{http://www.w3.org/2000/svg}"


def measured(rate: float, busy: float = 0.2) -> Measured:
    """A run with a rate."""
    return Measured(rate=rate, mebibytes=rate / 256, p50=1.5, p99=rate / 100, cpu=1e6 / rate, peak=90.0, busy=busy)


def results() -> Results:
    """A table of two servers: one cell in which both have results, one in which one has none."""
    first = Row("put-4k", "PUT 4 KiB", Setting("http", "signed", 32))
    first.sides = {
        "post3tw": [measured(4000), measured(8000), measured(6000)],
        "other<1>": [measured(2000), measured(2000), measured(4000)],
    }
    second = Row("put-4k", "PUT 4 KiB", Setting("https", "boto3", 1))
    second.sides = {
        "post3tw": [measured(12345, busy=0.97)],
        "other<1>": [Measured(wrong="3 bad of 9: 501 no such")],
    }
    return Results({"when": "today"}, ["post3tw", "other<1>"], {"post3tw": 78.0, "other<1>": None}, [first, second])


class ReportTests(SynchronousTestCase):
    """The table as text."""

    def test_figures(self) -> None:
        """A cell has a line a server, with median and range, and one of the ratios of its pairs."""
        lines = text(results()).splitlines()
        ours = next(number for number, line in enumerate(lines) if line.startswith("put-4k http 32"))
        self.assertIn("6,000      (4,000 – 8,000)", lines[ours])
        self.assertIn("2,000      (2,000 – 4,000)", lines[ours + 1])
        # Pairs: 2, 4 and 1.5. Of p99 the same, because here it follows the rate; of CPU the inverse.
        self.assertRegex(lines[ours + 2], r"ratio +2\.00 +\(1\.50 – 4\.00\) +2\.00 +0\.50")

    def test_no_result(self) -> None:
        """A cell with bad answers is no result, says why, and has no ratio."""
        shown = text(results())
        self.assertIn("no result: 3 bad of 9: 501 no such", shown)
        self.assertEqual(shown.count("ratio  "), 1)

    def test_limit(self) -> None:
        """A cell in which the load generator was the limit is marked, and the mark explained."""
        shown = text(results())
        self.assertIn("12,345*", shown)
        self.assertIn("*: the load generator", shown)

    def test_growth(self) -> None:
        """What a request costs in the large bucket is compared with the small one."""
        made = evolve(results(), sides=["post3tw"])
        for bucket, rate in (("small", 200.0), ("large", 100.0)):
            row = Row(f"list-flat-{bucket}", "LIST", Setting("http", "signed", 1), {"post3tw": [measured(rate)]})
            made.rows.append(row)
        self.assertIn("list-flat-large http 1, post3tw: 2.00 of the CPU in the small bucket", text(made))

    def test_amounts(self) -> None:
        """Numbers have about three digits that matter."""
        self.assertEqual([amount(value) for value in (0.123, 12.34, 123.4, 12345.6)], ["0.12", "12.3", "123", "12,346"])

    def test_json(self) -> None:
        """What is written as JSON reads back as it was."""
        self.assertEqual(Results.from_json(results().to_json()), results())


class PictureTests(SynchronousTestCase):
    """The table as a picture."""

    def test_ratios(self) -> None:
        """Beside others, there is a dot for each ratio, and names are quoted."""
        drawn = ElementTree.fromstring(picture([results(), results()]))
        self.assertEqual(drawn.tag, f"{SVG}svg")
        self.assertEqual(len(drawn.findall(f"{SVG}circle")), 2 + 2)  # Two of one cell, and two of the legend.
        self.assertIn("other<1>", "".join(drawn.itertext()))

    def test_latencies(self) -> None:
        """Alone, there is a dot for each cell."""
        made = evolve(results(), sides=["post3tw"])
        self.assertEqual(len(ElementTree.fromstring(picture([made])).findall(f"{SVG}circle")), 2)

    def test_nothing(self) -> None:
        """A table in which nothing came out makes a picture all the same."""
        made = results()
        del made.rows[0]
        ElementTree.fromstring(picture([made]))

    def test_axis(self) -> None:
        """Equal ratios are equally far apart, and what is outside is at the edge."""
        axis = Axis(0.1, 10)
        self.assertAlmostEqual(axis.x(1) - axis.x(0.5), axis.x(2) - axis.x(1))
        self.assertEqual(axis.x(0.01), axis.x(0.1))
        self.assertIn(1.0, axis.ticks())
