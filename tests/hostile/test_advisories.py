"""Advisories of other servers that no other test is about, and the list of all of them.

docs/advisories.md says of each advisory which tests keep it from being ours, or why it cannot be.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from twisted.trial.unittest import SynchronousTestCase

import post3tw
from tests.hostile.attacks import Place, routed, sound
from tests.hostile.case import HostileCase
from tests.hostile.raw import Client, Connection

ROOT = Path(__file__).parents[2]
IDS = (
    *(f"SIG-{number}" for number in range(1, 13)),
    *(f"AUZ-{number}" for number in range(1, 14)),
    *(f"PAR-{number}" for number in range(1, 13)),
    *(f"TW-{number}" for number in range(1, 8)),
    *(f"LOSS-{number}" for number in range(1, 8)),
)


class AdvisoryTests(HostileCase):
    """On a running server."""

    def test_AUZ_1_no_secret_is_told(self) -> None:
        """AUZ-1: whatever a stranger asks for, on any route of any port, no answer and no line of the log has a secret
        in it, not even that of a request that failed."""
        place = Place(self.bucket, self.bucket, "key", "source", "0" * 32, '"e"')
        secrets = {self.server.secret_key.encode()}
        wrong = Client(self.server.endpoint, self.server.access_key, "a-secret-that-is-wrong")
        secrets.add(wrong.secret_key.encode())
        for operation in routed():
            request = sound(operation, place)
            with self.client.connect() as connection:
                connection.offer(
                    f"{operation.method} {request.target} HTTP/1.1\r\nHost: h\r\n"
                    f"Content-Length: {len(request.body)}\r\n\r\n".encode()
                    + request.body
                )
                replies = [connection.reply(operation.method)]
            replies.append(wrong.ask(operation.method, request.target, request.fields, request.body))
            for reply in replies:
                self.assertGreaterEqual(reply.status, 400, operation.name)
                for secret in secrets:
                    self.assertNotIn(secret, reply.body + repr(reply.headers).encode(), operation.name)
        for secret in secrets:
            self.assertNotIn(secret.decode(), self.server.output)

    def test_PAR_3_pages_have_no_paths(self) -> None:
        """PAR-3: no page of our own reads a file that a request names; AUZ-1: nor does one show the environment."""
        admin = urlsplit(self.server.admin_endpoint or "")
        for path in (
            "/../../etc/passwd",
            "/metrics/../../etc/passwd",
            "/%2e%2e/%2e%2e/etc/passwd",
            "//etc/passwd",
            "/health/..",
            "/environ",
            "/debug",
            "/config",
            "/health/live?file=/etc/passwd",
            "/-/health/../../etc/passwd",
            "/metrics%00",
        ):
            for host, port in ((admin.hostname or "", admin.port or 0), (self.client.host, self.client.port)):
                with Connection(host, port) as connection:
                    connection.send(f"GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
                    received = connection.everything()
                self.assertNotIn(b"root:", received, path)
                self.assertNotIn(self.server.secret_key.encode(), received, path)

    def test_PAR_1_copy_sources(self) -> None:
        """PAR-1: dots in the source of a copy, or in a target, lead to no other bucket."""
        other = f"{self.bucket}-other"
        self.assertEqual(self.client.ask("PUT", f"/{other}").status, 200)
        self.assertEqual(self.client.ask("PUT", f"/{other}/secret", (), b"secret").status, 200)
        for way in (
            f"../{other}/secret",
            f"a/../../{other}/secret",
            f"%2e%2e/{other}/secret",
            f"..%2F{other}%2Fsecret",
        ):
            reply = self.client.ask(
                "PUT", self.target("copy"), [(b"x-amz-copy-source", f"{self.bucket}/{way}".encode())]
            )
            self.assert_error(reply, 404, "NoSuchKey", way)
            reply = self.client.ask("GET", f"/{self.bucket}/{way}")
            self.assert_error(reply, 404, "NoSuchKey", way)


class SourceTests(SynchronousTestCase):
    """What the source does not use cannot go wrong."""

    def imports(self) -> Iterator[str]:
        """Every name that a module of post3tw imports."""
        assert post3tw.__file__ is not None
        for path in Path(post3tw.__file__).parent.rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    yield from (alias.name for alias in node.names)
                elif isinstance(node, ast.ImportFrom):
                    yield from (f"{node.module}.{alias.name}" for alias in node.names)

    def test_PAR_9_TW_4_TW_6_nothing_is_fetched(self) -> None:
        """PAR-9, TW-4, TW-6: no module has a client for HTTP, so nobody can make the server send a request."""
        clients = ("treq", "urllib.request", "http.client", "twisted.web.client", "requests", "ftplib", "smtplib")
        found = [name for name in self.imports() if name.startswith(clients)]
        self.assertEqual(found, [])

    def test_TW_3_TW_6_TW_7_parts_that_had_holes(self) -> None:
        """TW-3, TW-6, TW-7: redirectTo, virtual hosts, conch, mail and names are not used; TW-5: nor is HTTP/2."""
        parts = ("twisted.web.util.redirectTo", "twisted.web.vhost", "twisted.conch", "twisted.mail", "twisted.names")
        found = [name for name in self.imports() if name.startswith((*parts, "h2", "twisted.web._http2"))]
        self.assertEqual(found, [])

    def test_TW_1_TW_7_versions(self) -> None:
        """TW-1, TW-7: Twisted is of a version without the known holes."""
        found = re.search(r"Twisted\[tls\]>=(\d+)\.(\d+)", (ROOT / "setup.cfg").read_text())
        assert found is not None
        self.assertGreaterEqual((int(found[1]), int(found[2])), (26, 4))


class ListTests(SynchronousTestCase):
    """docs/advisories.md."""

    def rows(self) -> dict[str, str]:
        """The rows of its tables, by id."""
        text = (ROOT / "docs" / "advisories.md").read_text()
        return dict(re.findall(r"^\| ([A-Z]+-\d+) \| (.*) \|$", text, re.MULTILINE))

    def test_complete(self) -> None:
        """Every advisory is there, with tests or with a reason."""
        rows = self.rows()
        self.assertEqual(list(rows), list(IDS))
        for name, row in rows.items():
            self.assertTrue("`tests." in row or "Not possible:" in row, name)

    def test_tests_exist(self) -> None:
        """Every test that it names exists."""
        for name, row in self.rows().items():
            for test in re.findall(r"`(tests\.[\w.]+)`", row):
                module, kind, method = test.rsplit(".", 2)
                self.assertIn((kind, method), _tests(module), name)

    def test_ids_in_tests(self) -> None:
        """No test is about an advisory that is not there."""
        for path in (ROOT / "tests").rglob("*.py"):
            for family, number in re.findall(r"\b(SIG|AUZ|PAR|TW|LOSS)[-_](\d+)", path.read_text()):
                self.assertIn(f"{family}-{number}", IDS, path)


@cache
def _tests(module: str) -> frozenset[tuple[str, str]]:
    """Class and name of every test in a module, inherited ones not."""
    path = ROOT / (module.replace(".", "/") + ".py")
    tree = ast.parse(path.read_text())
    return frozenset(
        (kind.name, test.name)
        for kind in tree.body
        if isinstance(kind, ast.ClassDef)
        for test in kind.body
        if isinstance(test, ast.FunctionDef | ast.AsyncFunctionDef)
    )
