"""A server as a process that is told to read its files again."""

from __future__ import annotations

import json
import re
import ssl
from pathlib import Path
from signal import SIGHUP, SIGTERM, SIGUSR1

from cryptography import x509
from cryptography.x509.oid import NameOID
from twisted.trial.unittest import TestCase

from post3tw.testing.certificates import make_certificate
from tests.processes import ServerProcess, client, in_thread, start_server
from tests.waiting import until


async def common_name(url: str) -> str:
    """Whom the certificate at `url` names."""
    host, port = url.removeprefix("https://").split(":")
    pem = await in_thread(ssl.get_server_certificate, (host, int(port)))
    certificate = x509.load_pem_x509_certificate(pem.encode())
    return str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


class SignalTests(TestCase):
    """What a running server does on SIGHUP and SIGUSR1."""

    timeout = 60

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        self.data = self.directory / "data"

    def write_users(self, *access_keys: str) -> Path:
        """An identities file with these users."""
        path = self.directory / "users.toml"
        fresh = path.with_suffix(".new")
        rows = 'access_key = "{0}"\nsecret_key = "secret-of-{0}"\nid = "{0}"\ndisplay_name = "{0}"\n'
        fresh.write_text("".join("[[user]]\n" + rows.format(key) for key in access_keys))
        fresh.chmod(0o600)
        fresh.replace(path)
        return path

    async def may_list(self, server: ServerProcess, access_key: str) -> bool:
        """Whether the server knows this user."""
        s3 = client(server.url, access_key, f"secret-of-{access_key}")
        try:
            await in_thread(s3.list_buckets)
        except s3.exceptions.ClientError as error:
            self.assertEqual(error.response["Error"]["Code"], "InvalidAccessKeyId")
            return False
        finally:
            s3.close()
        return True

    async def test_identities(self) -> None:
        """SIGHUP reads the users again, a change is noticed without it, and a bad file changes nothing."""
        path = self.write_users("ada")
        server = await start_server(self, "--data-dir", str(self.data), "--identities", str(path))
        self.assertTrue(await self.may_list(server, "ada"))
        self.write_users("ada", "grace")
        server.signal(SIGHUP)
        await until(lambda: "2 users" in server.out)
        self.assertTrue(await self.may_list(server, "grace"))
        path.write_text("[[user]]\nthis is not TOML")
        await until(lambda: "kept as they were" in server.out)
        self.assertTrue(await self.may_list(server, "grace"))
        self.write_users("ada")
        await until(lambda: "1 users" in server.out)
        self.assertFalse(await self.may_list(server, "grace"))

    async def test_access_log(self) -> None:
        """Each request is a line of JSON in the file; SIGUSR1 goes on in a new file of that name; none is lost."""
        log, moved = self.directory / "access.log", self.directory / "access.log.1"
        server = await start_server(self, "--data-dir", str(self.data), "--access-log", str(log), "--bucket", "photos")
        s3 = client(server.url)
        await in_thread(s3.put_object, Bucket="photos", Key="one", Body=b"12345")
        log.rename(moved)
        server.signal(SIGUSR1)
        await until(log.exists)
        await in_thread(s3.delete_object, Bucket="photos", Key="two")
        s3.close()
        server.signal(SIGTERM)
        self.assertEqual(await server.ended, 0)
        (first,) = (json.loads(line) for line in moved.read_text().splitlines())
        (second,) = (json.loads(line) for line in log.read_text().splitlines())
        self.assertEqual((first["operation"], first["key"], first["bytes_in"]), ("PutObject", "one", 5))
        self.assertEqual((second["operation"], second["key"], second["status"]), ("DeleteObject", "two", 204))

    async def test_certificates(self) -> None:
        """SIGHUP reads certificates again, those of `ssl:` and those of `tls:`."""
        folder = self.directory / "pems"
        folder.mkdir()
        made = make_certificate(folder, ("first", "localhost"))
        server = await start_server(
            self,
            *("--data-dir", str(self.data)),
            *("--listen", f"ssl:0:interface=127.0.0.1:privateKey={made.private_key}:certKey={made.certificate}"),
            *("--listen", f"tls:{folder}:port=0:interface=127.0.0.1"),
        )
        urls = re.findall(r"^ +S3 +(https://\S+)", server.err, re.MULTILINE)
        self.assertEqual(len(urls), 2, server.err)
        self.assertEqual([await common_name(url) for url in urls], ["first", "first"])
        make_certificate(folder, ("second", "localhost"))
        server.signal(SIGHUP)
        await until(lambda: server.out.count("Certificates read") == 2)
        self.assertEqual([await common_name(url) for url in urls], ["second", "second"])
        s3 = client(urls[0])
        await in_thread(s3.list_buckets)
        s3.close()
