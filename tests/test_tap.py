"""The server as a process: what a person, a supervisor and a signal meet."""

from __future__ import annotations

import os
import socket
import stat
from http.client import HTTPConnection
from pathlib import Path
from signal import SIGINT, SIGTERM
from urllib.parse import urlsplit

from twisted.trial.unittest import SynchronousTestCase, TestCase

from post3tw.config import ConfigError
from post3tw.tap import Options, makeService
from tests.processes import KEYS, POST3, TWISTD, ServerProcess, client, in_thread, refused, spawn, start_server
from tests.waiting import until


def accepts(address: tuple[str, int]) -> bool:
    """Whether a port takes connections."""
    try:
        socket.create_connection(address, timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


class ServingTests(TestCase):
    """A server that starts as it should."""

    timeout = 60

    def setUp(self) -> None:
        self.data = Path(self.mktemp()).absolute()

    async def test_first_start(self) -> None:
        """The first start makes the root key, shows where it is but not the secret, and says what to type."""
        server = spawn(self, (*TWISTD, "post3", "--data-dir", str(self.data), "--listen", "tcp:0", "--admin", "tcp:0"))
        await server.up
        key_file = self.data / "credentials"
        self.assertEqual(stat.S_IMODE(key_file.stat().st_mode), 0o600)
        access_key, secret_key = (line.split(" = ")[1] for line in key_file.read_text().splitlines()[1:])
        self.assertIn(access_key, server.err)
        self.assertNotIn(secret_key, server.err + server.out)
        for hint in (server.url, "credentials", "aws s3 mb", "boto3", "/health/live", "no bucket yet"):
            self.assertIn(hint, server.err)
        await self.round_trip(server, access_key, secret_key)

    async def test_buckets_of_the_command_line(self) -> None:
        """--bucket makes buckets when they are missing, and is content when they are there."""
        for _ in range(2):
            server = await start_server(self, "--data-dir", str(self.data), "--bucket", "one", "--bucket", "two")
            s3 = client(server.url)
            names = [bucket["Name"] for bucket in (await in_thread(s3.list_buckets))["Buckets"]]
            s3.close()
            self.assertEqual(names, ["one", "two"])
            self.assertNotIn("no bucket yet", server.err)
            await self.stopped(server)

    async def test_data_survives(self) -> None:
        """What was acknowledged is there after SIGTERM and a new start; SIGTERM ends with status 0."""
        server = await start_server(self, "--data-dir", str(self.data))
        await self.round_trip(server)
        await self.stopped(server)
        server = await start_server(self, "--data-dir", str(self.data))
        s3 = client(server.url)
        body = (await in_thread(s3.get_object, Bucket="photos", Key="a b+%é"))["Body"]
        self.assertEqual(await in_thread(body.read), b"x" * 5000)
        s3.close()

    async def test_interrupt(self) -> None:
        """Ctrl-C is an orderly end too."""
        server = await start_server(self, "--data-dir", str(self.data))
        server.signal(SIGINT)
        self.assertEqual(await server.ended, 0)

    async def test_drain(self) -> None:
        """After SIGTERM no new connection is taken, the request that runs is finished, and then the server ends."""
        server = await start_server(self, "--data-dir", str(self.data), "--bucket", "photos")
        connection = await self.half_a_put(server)
        server.signal(SIGTERM)
        address = connection.sock.getpeername()
        await until(lambda: not accepts(address))
        connection.send(b"67890")
        response = await in_thread(connection.getresponse)
        self.assertEqual(response.status, 200)
        connection.close()
        self.assertEqual(await server.ended, 0)

    async def test_drain_is_bounded(self) -> None:
        """A request that does not come to its end within --drain is cut off."""
        server = await start_server(self, "--data-dir", str(self.data), "--bucket", "photos", "--drain", "100ms")
        connection = await self.half_a_put(server)
        server.signal(SIGTERM)
        self.assertEqual(await server.ended, 0)
        connection.close()

    async def test_second_signal(self) -> None:
        """A second SIGTERM does not wait for requests."""
        server = await start_server(self, "--data-dir", str(self.data), "--bucket", "photos")
        connection = await self.half_a_put(server)
        address = connection.sock.getpeername()
        server.signal(SIGTERM)
        await until(lambda: not accepts(address))
        server.signal(SIGTERM)
        self.assertEqual(await server.ended, 128 + SIGTERM)
        connection.close()

    async def half_a_put(self, server: ServerProcess) -> HTTPConnection:
        """A connection on which ten bytes are being put, of which five were sent."""
        s3 = client(server.url)
        url = s3.generate_presigned_url("put_object", {"Bucket": "photos", "Key": "slow"})
        s3.close()
        parts = urlsplit(url)
        connection = HTTPConnection(parts.hostname or "", parts.port, timeout=20)
        connection.putrequest("PUT", f"{parts.path}?{parts.query}")
        connection.putheader("Content-Length", "10")
        connection.putheader("Expect", "100-continue")
        connection.endheaders()
        self.assertIn(b" 100 ", await in_thread(connection.sock.recv, 1000))
        connection.send(b"12345")
        return connection

    async def test_post3_serve(self) -> None:
        """`post3 serve DIR` is the same server."""
        options = ("serve", str(self.data), "--listen", "tcp:0:interface=127.0.0.1", "--admin", "none")
        server = spawn(self, (*POST3, *options), KEYS)
        await server.up
        await self.round_trip(server)
        await self.stopped(server)
        self.assertTrue((self.data / "index.sqlite3").exists())

    async def test_run_tac(self) -> None:
        """run.tac serves as POST3_* variables say."""
        environ = {
            **KEYS,
            "POST3_DATA_DIR": str(self.data),
            "POST3_LISTEN": "tcp:0:interface=127.0.0.1",
            "POST3_ADMIN": "none",
        }
        server = spawn(self, (*TWISTD, "--python", str(Path(__file__).parents[1] / "run.tac")), environ)
        await server.up
        await self.round_trip(server)
        await self.stopped(server)

    async def test_proxy_protocol(self) -> None:
        """Behind a proxy that speaks the PROXY protocol, the client is who the proxy says it is."""
        options = ("--data-dir", str(self.data), "--listen", "haproxy:tcp:0:interface=127.0.0.1", "--admin", "none")
        server = spawn(self, (*TWISTD, "post3", *options), KEYS)
        await server.up
        host, port = server.url.removeprefix("http://").split(":")

        def ask() -> bytes:
            with socket.create_connection((host, int(port)), timeout=10) as connection:
                connection.sendall(b"PROXY TCP4 203.0.113.7 192.0.2.1 5555 80\r\nGET / HTTP/1.1\r\nHost: s3\r\n\r\n")
                return connection.recv(1000)

        self.assertIn(b" 403 ", await in_thread(ask))
        await self.stopped(server)
        self.assertIn('"client_ip":"203.0.113.7"', server.err)

    async def test_relaxed_says_so(self) -> None:
        """A server that does not sync says so at start."""
        server = await start_server(self, "--data-dir", str(self.data), "--durability", "relaxed")
        self.assertIn("durability is relaxed", server.err)

    async def test_unknown_variable(self) -> None:
        """A variable that looks like one of ours is named in the log."""
        server = await start_server(self, "--data-dir", str(self.data), environ={"POST3_DATADIR": "/somewhere"})
        self.assertIn("POST3_DATADIR", server.out)

    async def round_trip(self, server: ServerProcess, *keys: str) -> None:
        """Put an object and get it back."""
        s3 = client(server.url, *keys)
        await in_thread(s3.create_bucket, Bucket="photos")
        await in_thread(s3.put_object, Bucket="photos", Key="a b+%é", Body=b"x" * 5000)
        body = (await in_thread(s3.get_object, Bucket="photos", Key="a b+%é"))["Body"]
        self.assertEqual(await in_thread(body.read), b"x" * 5000)
        s3.close()

    async def stopped(self, server: ServerProcess) -> None:
        """The server ends with status 0 when it is told to."""
        server.signal(SIGTERM)
        self.assertEqual(await server.ended, 0, server.err + server.out)


class RefusalTests(TestCase):
    """A server that cannot start says why in one line on standard error, and ends with status 1."""

    timeout = 60

    def setUp(self) -> None:
        self.data = Path(self.mktemp()).absolute()

    def assert_one_line(self, process: ServerProcess, *parts: str) -> None:
        """Status 1 and one line that has these parts; no traceback anywhere."""
        self.assertEqual(process.status, 1, process.err)
        self.assertEqual(len(process.err.splitlines()), 1, process.err)
        self.assertTrue(process.err.startswith("post3: "), process.err)
        for part in parts:
            self.assertIn(part, process.err)
        self.assertNotIn("Traceback", process.out)

    async def test_wrong_configuration(self) -> None:
        """Wrong configuration is refused before anything is opened."""
        for options, part in (
            (("--drain", "soon"), "--drain"),
            (("--no-such-option",), "--no-such-option"),
            (("extra",), "'extra'"),
            (("--backend", "tape"), "installed: fs"),
            (("--listen", "carrier-pigeon:1"), "--listen carrier-pigeon:1"),
            (("--admin", "ssl:0:privateKey=/nowhere.pem"), "/nowhere.pem"),
        ):
            process = await refused(self, "--data-dir", str(self.data), *options)
            self.assert_one_line(process, part)
            self.assertFalse(self.data.exists())

    async def test_wrong_variable(self) -> None:
        """A wrong variable is refused by its name."""
        self.assert_one_line(await refused(self, environ={"POST3_ACCESS_KEY": "minioadmin"}), "POST3_ACCESS_KEY")

    async def test_data_directory_in_use(self) -> None:
        """A second process on a data directory is refused, and the first one does not notice."""
        server = await start_server(self, "--data-dir", str(self.data), "--bucket", "photos")
        second = await refused(
            self, "--data-dir", str(self.data), "--listen", "tcp:0:interface=127.0.0.1", "--admin", "none"
        )
        self.assert_one_line(second, "in use by another process")
        s3 = client(server.url)
        await in_thread(s3.head_bucket, Bucket="photos")
        s3.close()

    async def test_port_taken(self) -> None:
        """A port that is taken is refused before the data directory is touched, that of the admin pages as well."""
        server = await start_server(self, "--data-dir", str(self.data))
        taken = f"tcp:{server.url.rpartition(':')[2]}:interface=127.0.0.1"
        other = Path(self.mktemp()).absolute()
        for options, named in (
            (("--listen", taken, "--admin", "none"), f"--listen {taken}"),
            (("--listen", "tcp:0:interface=127.0.0.1", "--admin", taken), f"--admin {taken}"),
        ):
            process = await refused(self, "--data-dir", str(other), *options)
            self.assert_one_line(process, named, "Address already in use")
            self.assertFalse(other.exists())

    async def test_no_index(self) -> None:
        """A data directory whose index is something else is refused while the reactor runs already."""
        self.data.mkdir()
        (self.data / "index.sqlite3").write_bytes(b"this is not a database" * 1000)
        options = ("--listen", "tcp:0:interface=127.0.0.1", "--admin", "none")
        self.assert_one_line(await refused(self, "--data-dir", str(self.data), *options), "index.sqlite3")

    async def test_identities_that_others_read(self) -> None:
        """An identities file that others can read is refused, before there is a data directory."""
        users = Path(self.mktemp()).absolute()
        users.write_text("")
        users.chmod(0o644)
        options = ("--listen", "tcp:0:interface=127.0.0.1", "--admin", "none", "--identities", str(users))
        self.assert_one_line(await refused(self, "--data-dir", str(self.data), *options), "chmod 600")
        self.assertFalse(self.data.exists())

    async def test_access_log_that_cannot_be_opened(self) -> None:
        """An access log in a directory that is not there is refused."""
        options = ("--listen", "tcp:0:interface=127.0.0.1", "--admin", "none", "--access-log", "/nowhere/access.log")
        self.assert_one_line(await refused(self, "--data-dir", str(self.data), *options), "/nowhere/access.log")

    async def test_daemon(self) -> None:
        """When twistd was to become a daemon, the process that was started still ends with status 1."""
        directory = Path(self.mktemp()).absolute()
        directory.mkdir()
        server = await start_server(self, "--data-dir", str(self.data))
        taken = f"tcp:{server.url.rpartition(':')[2]}:interface=127.0.0.1"
        twistd = (*TWISTD[:3], "--rundir", str(directory), "--logfile", "log", "--pidfile", "pid")
        process = spawn(self, (*twistd, "post3", "--data-dir", str(directory / "d"), "--listen", taken), KEYS)
        process.up.addErrback(lambda failure: None)
        self.assertEqual(await process.ended, 1)
        self.assertIn(f"cannot listen: --listen {taken}", process.err)
        self.assertFalse((directory / "pid").exists())


class MakeServiceTests(SynchronousTestCase):
    """The entry for programs that embed the server."""

    def test_wrong_options(self) -> None:
        """A mapping that makes no sense raises; it does not end the program that embeds us."""
        for options in ({"drain": "soon"}, {"listen": ["nonsense:1"]}, {"backend": "tape"}, {"colour": "red"}):
            self.assertRaises(ConfigError, makeService, options, environ={})

    def test_nothing_is_opened(self) -> None:
        """Making the service opens and binds nothing."""
        data = self.mktemp()
        makeService({"data_dir": data}, environ={})
        self.assertFalse(os.path.exists(data))

    def test_twistd_options(self) -> None:
        """twistd's options end the process instead, in one line."""
        options = Options()
        options.parseOptions(["--drain", "soon"])
        self.assertIn("--drain", str(self.assertRaises(SystemExit, makeService, options, environ={})))

    def test_options_are_repeatable(self) -> None:
        """A repeatable option collects, for one parser at a time."""
        for _ in range(2):
            options = Options()
            options.parseOptions(["--bucket", "one", "--bucket", "two", "--region", "eu-west-1"])
            config = makeService(options, environ={}).parts.config
            self.assertEqual((config.bucket, config.region), (("one", "two"), "eu-west-1"))
