"""Changing an identities file: keys made, disabled and deleted without touching what else people wrote into it.

Theory of operation. The file belongs to people, with their comments and their order, so it is never written from what
was parsed. Its text is cut into the blocks of its users, one block is changed as text, and the outcome is parsed again:
when that is not exactly the change that was meant (a `[[user]]` inside a string, keys in quotes, whatever else lines do
not show) the file stays as it is and the person is asked to edit it. The new text replaces the file by a rename, under
its mode and owner, so a server sees the old file or the new one. Whoever changes it holds a lock on it.

TOML: https://toml.io/en/v1.0.0
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from attrs import evolve, frozen

from post3tw.service.identities import Credential, IdentitiesRefused, parse_identities, read_identities

_HEADER = re.compile(r"\s*\[\[\s*user\s*\]\]\s*(#.*)?\s*")
_NOTHING = re.compile(r"\s*(#.*)?\s*")
_COMMENT = re.compile(r"\s*#.*\s*")
_DISABLED = re.compile(r"(\s*disabled\s*=\s*)(true|false)(\s*(?:#.*)?\s*)")

# -- text -------------------------------------------------------------------------------------------------------------


@frozen
class _Block:
    """The lines of one user: `above` is where the comment begins that stands directly on top of its header, `end` is
    behind the last line that says something."""

    above: int
    header: int
    end: int


def with_user(text: str, credential: Credential) -> str:
    """The text with one more user at its end.

    Raises:
        IdentitiesRefused: its access key is taken, or something in it cannot be written.
    """
    identity = credential.identity
    if identity.access_key in parse_identities(text):
        raise IdentitiesRefused(f"{identity.access_key} is there already")
    values: dict[str, str | bool | None] = {
        "access_key": identity.access_key,
        "secret_key": credential.secret,
        "id": identity.user_id,
        "display_name": identity.display_name,
        "email": identity.email,
        "tenant": identity.tenant,
        "admin": identity.admin,
    }
    lines = ["[[user]]"]
    lines += [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in values.items() if value]
    block = "\n".join(lines) + "\n"
    parse_identities(block)
    separator = "" if not text else "\n" if text.endswith("\n") else "\n\n"
    return _checked(text + separator + block, {**parse_identities(text), identity.access_key: credential})


def without_user(text: str, access_key: str) -> str:
    """The text without one user, and without the comment directly on top of it.

    Raises:
        IdentitiesRefused: nobody has this access key.
    """
    users, lines = parse_identities(text), text.splitlines(keepends=True)
    block = _block_of(lines, users, access_key)
    end = block.end
    while end < len(lines) and not lines[end].strip() and (block.above == 0 or not lines[block.above - 1].strip()):
        end += 1  # one of the two gaps between which it stood
    del users[access_key]
    return _checked("".join(lines[: block.above] + lines[end:]), users)


def with_disabled(text: str, access_key: str, disabled: bool) -> str:
    """The text with one user disabled or not.

    Raises:
        IdentitiesRefused: nobody has this access key.
    """
    users, lines = parse_identities(text), text.splitlines(keepends=True)
    block = _block_of(lines, users, access_key)
    word = "true" if disabled else "false"
    for number in range(block.header, block.end):
        found = _DISABLED.fullmatch(lines[number])
        if found is not None:
            lines[number] = f"{found[1]}{word}{found[3]}"
            break
    else:
        if disabled:
            last = lines[block.end - 1]
            lines[block.end - 1] = f"{last}disabled = true\n" if last.endswith("\n") else f"{last}\ndisabled = true\n"
    users[access_key] = evolve(users[access_key], disabled=disabled)
    return _checked("".join(lines), users)


def _block_of(lines: list[str], users: Mapping[str, Credential], access_key: str) -> _Block:
    if access_key not in users:
        raise IdentitiesRefused(f"nobody has the access key {access_key}")
    headers = [number for number, line in enumerate(lines) if _HEADER.fullmatch(line)]
    if len(headers) != len(users):
        raise IdentitiesRefused(_BY_HAND)
    at = list(users).index(access_key)
    header = headers[at]
    above, end = header, headers[at + 1] if at + 1 < len(headers) else len(lines)
    while above > 0 and _COMMENT.fullmatch(lines[above - 1]):
        above -= 1
    while _NOTHING.fullmatch(lines[end - 1]):
        end -= 1
    return _Block(above, header, end)


def _checked(text: str, meant: Mapping[str, Credential]) -> str:
    """The text, when it says what was meant."""
    try:
        if parse_identities(text) == meant:
            return text
    except IdentitiesRefused as error:
        raise IdentitiesRefused(f"{_BY_HAND}: {error}") from None
    raise IdentitiesRefused(_BY_HAND)


_BY_HAND = "it is written in a way that only a person can change"

# -- files ------------------------------------------------------------------------------------------------------------


def change_identities(path: Path, change: Callable[[str], str], *, create: bool = False) -> None:
    """Replace the text of an identities file.

    Args:
        path: the file; of a symbolic link, what it points to.
        change: makes the new text of the old one.
        create: whether a file that is not there is as good as an empty one.

    Raises:
        IdentitiesRefused: the file is refused as it is, or cannot be replaced; then it is as it was.
        What `change` raises, likewise.
    """
    path = Path(os.path.realpath(path))
    try:
        if create and not path.exists():
            change("")  # what is refused makes no file
        with _locked(path, create) as file:
            read_identities(path)
            text = os.pread(file, os.fstat(file).st_size, 0).decode()
            _replace(path, change(text), os.fstat(file))
    except OSError as error:
        raise IdentitiesRefused(f"{path} cannot be changed: {error.strerror}") from None


@contextmanager
def _locked(path: Path, create: bool) -> Iterator[int]:
    """The file, open and locked. One that was replaced while we waited for the lock is opened again."""
    while True:
        file = os.open(path, os.O_RDONLY | (os.O_CREAT if create else 0) | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.path.exists(path) and os.path.samestat(os.fstat(file), path.stat()):
                yield file
                return
        finally:
            os.close(file)


def _replace(path: Path, text: str, original: os.stat_result) -> None:
    """Write beside the file, with its mode and owner, and rename. Nobody sees half a text."""
    unfinished = path.with_name(f".{path.name}.new")
    unfinished.unlink(missing_ok=True)  # of a command that was killed; nobody else is here
    file = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(file, "wb") as stream:
            created = os.fstat(file)
            if (created.st_uid, created.st_gid) != (original.st_uid, original.st_gid):
                os.fchown(file, original.st_uid, original.st_gid)
            os.fchmod(file, stat.S_IMODE(original.st_mode))
            stream.write(text.encode())
            stream.flush()
            os.fsync(file)
        unfinished.rename(path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
