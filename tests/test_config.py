"""Options, variables, and what is refused."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

from attrs import fields
from twisted.trial.unittest import SynchronousTestCase

from post3tw.config import (
    OPTIONS,
    Config,
    ConfigError,
    Option,
    backend_name,
    read_config,
    unknown_variables,
)


class ReadConfigTests(SynchronousTestCase):
    """Where values come from."""

    def test_defaults(self) -> None:
        """With nothing given the server is on loopback, durable, with its data in ./data."""
        config = read_config({}, {})
        self.assertEqual(config.backend, "fs")
        self.assertEqual(config.data_dir, Path("data"))
        self.assertEqual(config.listen, ("tcp:9000:interface=127.0.0.1",))
        self.assertEqual(config.admin, "tcp:9001:interface=127.0.0.1")
        self.assertEqual(config.durability, "full")
        self.assertEqual(config.reserve, 64 << 20)
        self.assertEqual((config.domain, config.bucket, config.trusted_proxy), ((), (), ()))
        self.assertIsNone(config.identities)
        self.assertIsNone(config.access_log)

    def test_every_option_is_kept(self) -> None:
        """Config has one attribute for each option, and none besides but the backend's."""
        names = {option.attribute for option in OPTIONS} | {"backend_options"}
        self.assertEqual({attribute.name for attribute in fields(Config)}, names)

    def test_variable(self) -> None:
        """Every option can be given by its variable; several values are separated by spaces or commas."""
        config = read_config({}, {"POST3_DRAIN": "5s", "POST3_BUCKET": "one two,three", "POST3_DATA_DIR": "/srv/x"})
        self.assertEqual(config.drain, 5.0)
        self.assertEqual(config.bucket, ("one", "two", "three"))
        self.assertEqual(config.data_dir, Path("/srv/x"))

    def test_command_line_wins(self) -> None:
        """What is given wins over the variable."""
        config = read_config(
            {"region": "eu-west-1", "listen": ["tcp:1"]}, {"POST3_REGION": "x", "POST3_LISTEN": "tcp:2"}
        )
        self.assertEqual(config.region, "eu-west-1")
        self.assertEqual(config.listen, ("tcp:1",))

    def test_empty_variable(self) -> None:
        """An empty variable is as good as none."""
        self.assertEqual(read_config({}, {"POST3_REGION": ""}).region, "us-east-1")

    def test_spelling_and_types(self) -> None:
        """Names may be written with dashes or underscores, and values may be typed already."""
        config = read_config(
            {"data-dir": Path("/a"), "max_requests": 5, "drain": 1.5, "trusted_proxy": ["10.0.0.0/8"], "reserve": 7}, {}
        )
        self.assertEqual(config.data_dir, Path("/a"))
        self.assertEqual((config.max_requests, config.drain, config.reserve), (5, 1.5, 7))
        self.assertEqual(config.trusted_proxy, (ip_network("10.0.0.0/8"),))

    def test_admin_none(self) -> None:
        """`none` switches the admin endpoint off."""
        self.assertIsNone(read_config({"admin": "none"}, {}).admin)

    def test_backend_options(self) -> None:
        """A backend's own options are read like ours, from their variable too."""
        rows = (Option("dsn", "", "where"), Option("pool", "4", "how many"))
        config = read_config({"pool": "8"}, {"POST3_DSN": "postgres:///x"}, rows)
        self.assertEqual(config.backend_options, {"dsn": "postgres:///x", "pool": "8"})

    def test_backend_name(self) -> None:
        """The backend is known before the rest is read."""
        self.assertEqual(backend_name({}, {}), "fs")
        self.assertEqual(backend_name({"backend": None}, {"POST3_BACKEND": "postgres"}), "postgres")
        self.assertEqual(backend_name({"backend": "fs"}, {"POST3_BACKEND": "postgres"}), "fs")

    def test_unknown_variables(self) -> None:
        """Variables that look like ours and are not are named, so that a slip of the pen is seen."""
        environ = {"POST3_DATADIR": "x", "POST3_DATA_DIR": "y", "POST3_DSN": "z", "HOME": "/"}
        self.assertEqual(unknown_variables(environ, [Option("dsn", "", "")]), ["POST3_DATADIR"])

    def test_secrets_are_not_shown(self) -> None:
        """The representation of a Config has no secret in it."""
        config = read_config(
            {"metrics-token": "tok-1234"}, {"POST3_ACCESS_KEY": "root", "POST3_SECRET_KEY": "sec-56789"}
        )
        self.assertNotIn("tok-1234", repr(config))
        self.assertNotIn("sec-56789", repr(config))


class RefusalTests(SynchronousTestCase):
    """Wrong configuration is one line that names what is wrong."""

    def refused(self, given: dict[str, object], environ: dict[str, str] | None = None) -> str:
        """The text of the refusal."""
        text = str(self.assertRaises(ConfigError, read_config, given, environ or {}))
        self.assertNotIn("\n", text)
        return text

    def test_wrong_values(self) -> None:
        """The option is named, and what is wrong with it."""
        for name, value in (
            ("drain", "soon"),
            ("reserve", "much"),
            ("durability", "maybe"),
            ("new-bucket-defaults", "open"),
            ("region", "US East"),
            ("max-requests", "0"),
            ("max-connections", "many"),
            ("trusted-proxy", "proxy.example"),
            ("cors-origin", "https://app.example/"),
            ("cors-origin", "app.example"),
            ("cors-origin", "https://*.*"),
            ("bucket", "Not_A_Bucket"),
            ("domain", "no_domain"),
            ("listen", ","),
        ):
            self.assertTrue(
                self.refused({name: [value] if name == "bucket" else value}).startswith(f"--{name}: "), name
            )

    def test_origins(self) -> None:
        """Origins are those that browsers name, with a star where anything may stand."""
        origins = ("https://app.example", "http://localhost:3000", "https://*.example", "*.example", "*", "null")
        self.assertEqual(read_config({"cors-origin": list(origins)}, {}).cors_origin, origins)
        self.assertEqual(read_config({}, {"POST3_CORS_ORIGIN": " ".join(origins)}).cors_origin, origins)

    def test_wrong_variable(self) -> None:
        """When the value came from a variable, that one is named."""
        self.assertTrue(self.refused({}, {"POST3_DRAIN": "soon"}).startswith("POST3_DRAIN: "))

    def test_unknown_option(self) -> None:
        """An option that nobody has is refused."""
        self.assertEqual(self.refused({"data_directory": "x"}), "unknown option: data_directory")

    def test_half_a_root_key(self) -> None:
        """Both keys or none."""
        self.assertIn("POST3_SECRET_KEY is missing", self.refused({}, {"POST3_ACCESS_KEY": "root"}))
        self.assertIn("POST3_ACCESS_KEY is missing", self.refused({}, {"POST3_SECRET_KEY": "longenough"}))

    def test_well_known_keys(self) -> None:
        """Keys out of other people's documentation are refused, in any spelling."""
        self.assertIn("well-known", self.refused({}, {"POST3_ACCESS_KEY": "MinioAdmin", "POST3_SECRET_KEY": "x" * 20}))
        self.assertIn("well-known", self.refused({}, {"POST3_ACCESS_KEY": "mine", "POST3_SECRET_KEY": "rustfsadmin"}))

    def test_weak_keys(self) -> None:
        """An access key with a slash, or a secret of three letters, is refused without showing the secret."""
        self.assertIn("POST3_ACCESS_KEY", self.refused({}, {"POST3_ACCESS_KEY": "a/b", "POST3_SECRET_KEY": "x" * 20}))
        text = self.refused({}, {"POST3_ACCESS_KEY": "mine", "POST3_SECRET_KEY": "qzx"})
        self.assertNotIn("qzx", text)

    def test_aws_variables(self) -> None:
        """AWS_* variables, which clients on the machine use against other servers, are not read."""
        config = read_config({}, {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "x" * 40})
        self.assertEqual((config.access_key, config.secret_key), ("", ""))
