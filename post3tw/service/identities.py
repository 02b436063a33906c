"""Who has an access key: the root user, and the users of an identities file.

The file is TOML, an array `[[user]]`:

    [[user]]
    access_key = "AKIAEXAMPLE"
    secret_key = "…"
    id = "canonical-user-id"          # shown as Owner
    display_name = "Ada"
    email = "ada@example.com"         # optional
    tenant = "research"               # optional: a bucket namespace of its own
    admin = true                      # optional: may do everything in every bucket
    disabled = true                   # optional: the key is known and refused

A file that other users can read is refused. A bad file changes nothing: the users known before are kept whole.
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from attrs import define, field, frozen
from twisted.logger import Logger

from post3tw.model.identity import Identity, Owner

_ACCESS_KEY = re.compile(r"[\x21-\x7e]{3,128}")
_TENANT = re.compile(r"[A-Za-z0-9_-]{1,64}")
_FIELDS: Mapping[str, type] = {
    "access_key": str, "secret_key": str, "id": str, "display_name": str,
    "email": str, "tenant": str, "admin": bool, "disabled": bool,
}  # fmt: skip
_REQUIRED = ("access_key", "secret_key", "id", "display_name")


class IdentitiesRefused(Exception):
    """The identities file cannot be used as it is. The text is one clear line, without secrets."""


@frozen
class Credential:
    """An access key with its secret, and whose it is."""

    identity: Identity
    secret: str = field(repr=False)
    disabled: bool = False


def parse_identities(text: str) -> dict[str, Credential]:
    """The credentials of an identities document, by access key.

    Raises:
        IdentitiesRefused: not TOML, an unknown or missing field, a value of the wrong type, an access key used twice.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise IdentitiesRefused(f"not TOML: {error}") from None
    users = document.pop("user", [])
    if document:
        raise IdentitiesRefused(f"unknown table or key: {sorted(document)[0]}")
    if not isinstance(users, list) or not all(isinstance(user, dict) for user in users):
        raise IdentitiesRefused("users are written as an array of tables, [[user]]")
    found: dict[str, Credential] = {}
    tenants: dict[str, str] = {}
    for number, user in enumerate(users, 1):
        credential = _parse_user(user, f"[[user]] number {number}")
        if credential.identity.access_key in found:
            raise IdentitiesRefused(f"[[user]] number {number}: its access_key is used twice")
        identity = credential.identity
        if tenants.setdefault(identity.user_id, identity.tenant) != identity.tenant:
            # An id is one user, who owns what he owns wherever he is from: one would own the other's buckets.
            raise IdentitiesRefused(f"[[user]] number {number}: its id is that of a user of another tenant")
        found[credential.identity.access_key] = credential
    return found


def _parse_user(user: Mapping[str, Any], where: str) -> Credential:
    for name, value in user.items():
        if name not in _FIELDS:
            raise IdentitiesRefused(f"{where}: unknown field {name}")
        if not isinstance(value, _FIELDS[name]):
            raise IdentitiesRefused(f"{where}: {name} is not a {_FIELDS[name].__name__}")
    for name in _REQUIRED:
        if not user.get(name):
            raise IdentitiesRefused(f"{where}: {name} is missing or empty")
    if not _ACCESS_KEY.fullmatch(user["access_key"]) or "/" in user["access_key"]:
        raise IdentitiesRefused(f"{where}: access_key must be 3 to 128 visible ASCII characters without a slash")
    tenant = user.get("tenant", "")
    if tenant and not _TENANT.fullmatch(tenant):
        raise IdentitiesRefused(f"{where}: tenant must be letters, digits, - and _")
    identity = Identity(
        user_id=user["id"],
        display_name=user["display_name"],
        access_key=user["access_key"],
        tenant=tenant,
        email=user.get("email"),
        admin=user.get("admin", False),
    )
    return Credential(identity, user["secret_key"], user.get("disabled", False))


def read_identities(path: Path) -> dict[str, Credential]:
    """Read an identities file.

    Raises:
        IdentitiesRefused: it cannot be read, others can read it, or its content is refused.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise IdentitiesRefused(f"{path} can be read or written by others (mode {mode:04o}): chmod 600 it")
            text = file.read().decode("utf-8")
    except OSError as error:
        raise IdentitiesRefused(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise IdentitiesRefused(f"{path} is not UTF-8") from None
    try:
        return parse_identities(text)
    except IdentitiesRefused as error:
        raise IdentitiesRefused(f"{path}: {error}") from None


@define
class Identities:
    """The users of a running server: root, and those of the file, if there is one."""

    log: ClassVar[Logger] = Logger()

    root: Credential | None
    path: Path | None = None
    _users: dict[str, Credential] = field(factory=dict, init=False, repr=False)
    _seen: tuple[int, int, int] | None = field(default=None, init=False, repr=False)

    def load(self) -> None:
        """Read the file for the first time.

        Raises:
            IdentitiesRefused: see read_identities; also when the file uses root's access key, or its id in a tenant.
        """
        if self.path is not None:
            self._seen = self._signature()
            self._users = self._read(self.path)

    def reload(self) -> bool:
        """Read the file again; on a bad one keep what was known and say so in the log. Whether the new one is in
        force."""
        if self.path is None:
            return False
        self._seen = self._signature()
        try:
            self._users = self._read(self.path)
        except IdentitiesRefused as error:
            self.log.error("Identities are kept as they were: {reason}", reason=str(error))
            return False
        self.log.info("Identities read: {count} users", count=len(self._users))
        return True

    def reload_when_changed(self) -> None:
        """Reload when the file is not the one that was read last. Called every few seconds."""
        if self.path is not None and self._signature() != self._seen:
            self.reload()

    def credential(self, access_key: str) -> Credential | None:
        """The credential of an access key, disabled ones included; None when nobody has it."""
        if self.root is not None and access_key == self.root.identity.access_key:
            return self.root
        return self._users.get(access_key)

    def by_id(self, user_id: str) -> Owner | None:
        """See people.People. Who has several keys is one user; a disabled key's user is still somebody."""
        return next((owner for owner in self._owners(lambda user: user.user_id == user_id)), None)

    def by_email(self, email: str) -> Collection[Owner]:
        """See people.People; addresses are compared without regard to case."""
        wanted = email.casefold()
        found = self._owners(lambda user: user.email is not None and user.email.casefold() == wanted)
        return list({owner.id: owner for owner in found}.values())

    def _owners(self, wanted: Callable[[Identity], bool]) -> Iterator[Owner]:
        known = [*self._users.values(), *([] if self.root is None else [self.root])]
        return (credential.identity.owner for credential in known if wanted(credential.identity))

    def _read(self, path: Path) -> dict[str, Credential]:
        users = read_identities(path)
        if self.root is not None and self.root.identity.access_key in users:
            raise IdentitiesRefused(f"{path}: a user has the access key of root")
        for identity in (user.identity for user in users.values()):
            if self.root is not None and identity.user_id == self.root.identity.user_id and identity.tenant:
                raise IdentitiesRefused(f"{path}: a user of the tenant {identity.tenant} has the id of root")
        return users

    def _signature(self) -> tuple[int, int, int] | None:
        """What tells one state of the file from another, None while it is not there."""
        try:
            status = self.path.stat() if self.path is not None else None
        except OSError:
            return None
        return None if status is None else (status.st_mtime_ns, status.st_ino, status.st_size)


def root_credential(access_key: str, secret: str) -> Credential:
    """The root user: administrator, in the unnamed tenant."""
    identity = Identity(user_id="root", display_name="root", access_key=access_key, admin=True)
    return Credential(identity, secret)
