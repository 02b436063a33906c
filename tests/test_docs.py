"""What docs/ says is what the code does."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

from twisted.application.service import IService
from twisted.trial.unittest import SynchronousTestCase, TestCase

from post3tw.config import OPTIONS
from post3tw.metrics.readings import COUNTERS, GAUGES
from post3tw.s3.access_log import json_line
from post3tw.s3.record import RequestRecord
from post3tw.storage.interfaces import IBackend, OpenedStore, StoreRefused
from post3tw.tap import Options
from tests.processes import KEYS, ROOT, TWISTD, client, in_thread, spawn
from tools.write_docs import outdated

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]


def code_blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of a page in docs/."""
    return re.findall(rf"^```{language}\n(.*?)^```", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)


class GeneratedTests(SynchronousTestCase):
    """Tables that are written from the code."""

    def test_up_to_date(self) -> None:
        """Operations, errors and options are documented as they are; `python -m tools.write_docs` writes them."""
        self.assertEqual(outdated(write=False), [])


class CompletenessTests(SynchronousTestCase):
    """Everything a person can set or see has its place in docs/."""

    def test_options(self) -> None:
        """Every option and its variable are in configuration.md and in `twistd post3 --help`."""
        page, shown = (DOCS / "configuration.md").read_text(), " ".join(str(Options()).split())
        for option in OPTIONS:
            self.assertIn(f"`{option.variable}`", page)
            if not option.secret:
                self.assertIn(f"`--{option.name}`", page)
                self.assertIn(f"--{option.name}=", shown)
            self.assertIn(option.variable, shown)
            if option.default and not option.secret:
                self.assertIn(f"default {option.default}", shown)

    def test_access_log(self) -> None:
        """Every field of the access log is in access-log.md."""
        record = RequestRecord(
            *(0.0, "id", "GET", "/", "::1", "agent"),
            operation="GetObject",
            bucket="b",
            key="k",
            user_id="u",
            access_key="a",
            status=499,
            error_code="SlowDown",
            bytes_in=1,
            bytes_out=1,
            time_to_first_byte=0.1,
            client_gone=True,
        )
        page = (DOCS / "access-log.md").read_text()
        for field in re.findall(r'"(\w+)":', json_line(record, "now")):
            self.assertIn(f"`{field}`", page)

    def test_metrics(self) -> None:
        """Every metric is in configuration.md."""
        page = (DOCS / "configuration.md").read_text()
        for name in (*GAUGES, *(f"{name}_total" for name in COUNTERS)):
            self.assertIn(f"`{name}", page)

    def test_dependencies(self) -> None:
        """Every requirement has its line in dependencies.md, and a comment about its floor in setup.cfg."""
        page = (DOCS / "dependencies.md").read_text().lower()
        lines = (ROOT / "setup.cfg").read_text().splitlines()
        names = [match[1] for line in lines if (match := re.match(r"    ([A-Za-z-]+)(\[\w+\])?>=", line))]
        self.assertGreater(len(names), 10)
        for name in names:
            self.assertIn(name.lower(), page)

    def test_links(self) -> None:
        """Links between pages lead somewhere."""
        for page in PAGES:
            for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
                self.assertTrue((page.parent / target).exists(), f"{page.name}: {target}")


class DocstringTests(SynchronousTestCase):
    """Public methods say what they do."""

    def test_methods(self) -> None:
        """Every public method in snake_case has a docstring; camelCase is Twisted's, which documents it."""
        missing = []
        for path in sorted((ROOT / "post3tw").rglob("*.py")):
            for owner in ast.walk(ast.parse(path.read_text())):
                if not isinstance(owner, ast.ClassDef) or owner.name.startswith("_"):
                    continue
                for method in owner.body:
                    if (
                        isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef)
                        and re.fullmatch(r"[a-z][a-z0-9_]*", method.name)
                        and not ast.get_docstring(method)
                        and not method.decorator_list
                    ):
                        missing.append(f"{path.name}:{owner.name}.{method.name}")
        self.assertEqual(missing, [])


class EmbeddingTests(TestCase):
    """The example of embedding.md."""

    timeout = 60

    async def run_example(self, *options: str) -> None:
        """Run the example as somebody's own .tac, and use its server."""
        (example,) = code_blocks("embedding.md", "python")
        directory = Path(self.mktemp()).absolute()
        directory.mkdir()
        tac = directory / "gallery.tac"
        tac.write_text(example.replace("tcp:9000:", "tcp:0:"))
        twistd = (*TWISTD, *options, "--rundir", str(directory), "--python", str(tac))
        server = spawn(self, twistd, KEYS)
        await server.up
        s3 = client(server.url)
        await in_thread(s3.put_object, Bucket="photos", Key="one", Body=b"1")
        s3.close()
        self.assertIn("your own services live beside it", server.out)
        self.assertTrue((directory / "gallery-data").is_dir())

    async def test_default_reactor(self) -> None:
        """It serves on the default reactor."""
        await self.run_example()

    async def test_asyncio_reactor(self) -> None:
        """It serves on asyncio's event loop."""
        await self.run_example("--reactor", "asyncio")


class BackendExampleTests(SynchronousTestCase):
    """The example of backends.md."""

    def test_example(self) -> None:
        """The backend of the page is one, and its plugin finds it."""
        plugin, backend, _ = code_blocks("backends.md", "python")
        module = type(sys)("my_backend_of_the_docs")
        exec(compile(backend, "backends.md", "exec"), module.__dict__)
        sys.modules[module.__name__] = module
        self.addCleanup(sys.modules.pop, module.__name__)
        names: dict[str, object] = {}
        exec(plugin.replace("my_package.backend", module.__name__), names)
        mine = names["mine"]
        assert IBackend.providedBy(mine)
        self.assertEqual(mine.name, "mine")
        self.assertEqual([name for name, _, _ in mine.options()], ["mine-url"])
        self.assertRaises(StoreRefused, mine.open, {"mine_url": ""}, None)
        opened = mine.open({"mine_url": "x"}, None)
        self.assertIsInstance(opened, OpenedStore)
        self.assertFalse(IService.providedBy(opened))
