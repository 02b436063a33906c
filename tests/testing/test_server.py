"""The running server that end-to-end tests use."""

from __future__ import annotations

import os
import signal
import ssl
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from twisted.trial.unittest import SynchronousTestCase

from post3tw.testing.certificates import make_certificate
from post3tw.testing.server import RunningServer, ServerNotRunning


class RunningServerTests(SynchronousTestCase):
    """Its life, from start to stop."""

    def directory(self) -> Path:
        """A new directory of this test."""
        path = Path(self.mktemp()).absolute()
        path.mkdir()
        return path

    def test_http(self) -> None:
        """It serves S3 and its admin pages over http, and ends with status 0."""
        server = RunningServer().start()
        self.assertRegex(server.endpoint, r"^http://127\.0\.0\.1:\d+$")
        with self.assertRaises(HTTPError) as refused:
            urlopen(server.endpoint)
        self.assertEqual(refused.exception.code, 403)
        refused.exception.close()
        with urlopen(f"{server.admin_endpoint}/health/live") as answer:
            self.assertEqual(answer.status, 200)
        self.assertEqual(server.stop(), 0)
        self.assertIn("Root key", server.output)
        self.assertNotIn(server.secret_key, server.output + repr(server))

    def test_https(self) -> None:
        """With https it has a certificate for which only those who trust it will talk to it."""
        with RunningServer(https=True) as server:
            self.assertTrue(server.endpoint.startswith("https://"))
            with self.assertRaises(OSError):
                urlopen(server.endpoint)
            trusting = ssl.create_default_context(cafile=server.certificate)
            trusting.verify_flags |= ssl.VERIFY_X509_STRICT
            with self.assertRaises(HTTPError) as refused:
                urlopen(server.endpoint, context=trusting)
            refused.exception.close()

    def test_options_and_restart(self) -> None:
        """It takes options, and after a kill it starts again on the same data."""
        data = self.directory()
        server = RunningServer(data, options=["--bucket=kept", "--durability=relaxed"])
        server.start().kill()
        self.assertNotEqual(list(data.iterdir()), [])
        with server:
            self.assertEqual(len(server.endpoints), 1)
            self.assertGreater(server.pid, 0)
        self.assertEqual(server.output.count("durability is relaxed"), 2)

    def test_does_not_start(self) -> None:
        """A server that refuses its options raises what it has said."""
        with self.assertRaises(ServerNotRunning) as failed:
            RunningServer(options=["--backend=nonsense"]).start()
        self.assertIn("nonsense", str(failed.exception))

    def test_environment(self) -> None:
        """POST3_* variables of this process do not reach the server; those it is given do."""
        os.environ["POST3_REGION"] = "not a region"
        self.addCleanup(os.environ.pop, "POST3_REGION")
        with RunningServer(environment={"POST3_DOMAIN": "s3.example"}) as server:
            self.assertIn("region us-east-1", server.output)

    def test_signals(self) -> None:
        """A server that a test ends itself is left alone at the end of the block."""
        with RunningServer() as server:
            server.send_signal(signal.SIGHUP)
            self.assertEqual(server.stop(), 0)
        self.assertRaises(ServerNotRunning, server.stop)


class CertificateTests(SynchronousTestCase):
    """Certificates for tests."""

    def test_private_key_is_private(self) -> None:
        """Nobody else can read the key."""
        directory = Path(self.mktemp())
        directory.mkdir()
        made = make_certificate(directory, ["s3.example", "10.0.0.1"])
        self.assertEqual(made.private_key.stat().st_mode & 0o777, 0o600)
        self.assertIn("BEGIN CERTIFICATE", made.certificate.read_text())
        self.assertNotIn("PRIVATE", made.certificate.read_text())
