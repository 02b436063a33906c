"""What a person reads when the server is up: where it is, where the key is, and what to type next."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from post3tw import __version__
from post3tw.config import Config
from post3tw.credentials import PROFILE, RootKey


@frozen
class Banner:
    """The facts that a start shows.

    Attributes:
        config: how the server was started.
        key: the root key; None when there are only the users of the identities file.
        urls: where S3 is served.
        admin_url: where the admin pages are, None when they are off.
        has_buckets: whether there is any bucket.
        place: where objects are kept.
    """

    config: Config
    key: RootKey | None
    urls: tuple[str, ...]
    admin_url: str | None
    has_buckets: bool
    place: str

    def text(self, terminal: bool) -> str:
        """The banner.

        Args:
            terminal: whether a person reads it now; only then is a new secret shown.
        """
        rows = [*self._facts(terminal), *self._commands(), *self._notes()]
        first = f"post3tw {__version__}, backend {self.config.backend}, data in {self.place}"
        lines = [first, *(f"  {label:<9} {text}".rstrip() for label, text in rows)]
        return "\n".join(lines) + "\n"

    def _facts(self, terminal: bool) -> Iterator[tuple[str, str]]:
        for url in self.urls:
            yield "S3", f"{url}   region {self.config.region}"
        if self.admin_url is not None:
            yield "Admin", f"{self.admin_url}/health/live   /health/ready   /metrics"
        if self.key is None:
            yield "Root key", f"none; the users are those of {self.config.identities}"
            return
        if self.key.path is None:
            yield "Root key", f"{self.key.access_key} (from POST3_ACCESS_KEY)"
            return
        yield "Root key", f"{self.key.access_key} (its secret is in {self.key.path}, profile {PROFILE})"
        if self.key.made and terminal:
            yield "Secret", f"{self.key.secret_key} (shown this once)"

    def _commands(self) -> Iterator[tuple[str, str]]:
        url = next((url for url in self.urls if "://" in url), None)
        if url is None:
            return
        yield "", ""
        yield "aws CLI", f"export {self._credentials()} AWS_DEFAULT_REGION={self.config.region} AWS_ENDPOINT_URL={url}"
        yield "", "aws s3 mb s3://photos"
        yield "", "echo hello | aws s3 cp - s3://photos/hello.txt"
        yield "", "aws s3 ls s3://photos/"
        yield "boto3", 'boto3.client("s3")   # with the same exports'

    def _credentials(self) -> str:
        if self.key is None:
            return "AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=…"
        if self.key.path is None:
            return "AWS_ACCESS_KEY_ID=$POST3_ACCESS_KEY AWS_SECRET_ACCESS_KEY=$POST3_SECRET_KEY"
        return f"AWS_SHARED_CREDENTIALS_FILE={shlex.quote(str(Path(self.key.path).absolute()))} AWS_PROFILE={PROFILE}"

    def _notes(self) -> Iterator[tuple[str, str]]:
        if not self.has_buckets:
            yield "", ""
            yield "Missing", "there is no bucket yet: make one as above, or start with --bucket NAME"
        if self.config.durability == "relaxed":
            yield "Warning", "durability is relaxed: a power cut may take what was acknowledged"
