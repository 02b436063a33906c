"""What a person reads at the start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from post3tw.config import read_config
from post3tw.credentials import RootKey
from post3tw.server.banner import Banner


class BannerTests(SynchronousTestCase):
    """The banner."""

    def text(self, terminal: bool = False, **changes: Any) -> str:
        """The banner of a first start, but for the changes."""
        values: dict[str, Any] = {
            "config": read_config({"data_dir": "my data"}, {}),
            "key": RootKey("POST3KEY", "s3cret", Path("my data/credentials"), made=True),
            "urls": ("http://127.0.0.1:9000",),
            "admin_url": "http://127.0.0.1:9001",
            "has_buckets": True,
            "place": "my data",
        }
        return Banner(**{**values, **changes}).text(terminal)

    def test_first_start(self) -> None:
        """It says where everything is, and what to type; a path with a space can be copied into a shell."""
        text = self.text()
        for part in (
            "http://127.0.0.1:9000   region us-east-1",
            "http://127.0.0.1:9001/health/live",
            "POST3KEY (its secret is in my data/credentials, profile post3)",
            f"AWS_SHARED_CREDENTIALS_FILE='{Path('my data/credentials').absolute()}' AWS_PROFILE=post3",
            "AWS_DEFAULT_REGION=us-east-1 AWS_ENDPOINT_URL=http://127.0.0.1:9000",
            "aws s3 mb s3://photos",
        ):
            self.assertIn(part, text)
        self.assertNotIn("Missing", text)
        self.assertNotIn("Warning", text)

    def test_secret(self) -> None:
        """The secret is shown when it was just made and a person looks on, and never else."""
        old = RootKey("POST3KEY", "s3cret", Path("credentials"))
        self.assertIn("s3cret", self.text(terminal=True))
        self.assertNotIn("s3cret", self.text(terminal=False))
        self.assertNotIn("s3cret", self.text(terminal=True, key=old))
        self.assertNotIn("s3cret", self.text(terminal=True, key=RootKey("POST3KEY", "s3cret")))

    def test_key_from_the_environment(self) -> None:
        """A key that came in variables is referred to by them."""
        text = self.text(key=RootKey("MYKEY", "s3cret"))
        self.assertIn("MYKEY (from POST3_ACCESS_KEY)", text)
        self.assertIn("AWS_SECRET_ACCESS_KEY=$POST3_SECRET_KEY", text)

    def test_no_root_key(self) -> None:
        """Without a root key, the banner says where the users are, and leaves their keys to be filled in."""
        text = self.text(key=None, config=read_config({"identities": "users.toml"}, {}))
        self.assertIn("none; the users are those of users.toml", text)
        self.assertIn("AWS_ACCESS_KEY_ID=…", text)

    def test_hints(self) -> None:
        """No bucket and no durability are said; admin pages that are off are not."""
        text = self.text(has_buckets=False, admin_url=None, config=read_config({"durability": "relaxed"}, {}))
        self.assertIn("no bucket yet", text)
        self.assertIn("durability is relaxed", text)
        self.assertNotIn("health", text)

    def test_no_url(self) -> None:
        """A server on a socket file only has no commands to copy."""
        text = self.text(urls=("unix:/run/s3.sock",))
        self.assertIn("unix:/run/s3.sock", text)
        self.assertNotIn("AWS_ENDPOINT_URL", text)
