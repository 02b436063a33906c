"""The root user's key: made at the first start, kept in DATA/credentials in the format that AWS tools read.

    [post3]
    aws_access_key_id = POST3…
    aws_secret_access_key = …

Only its owner may read the file. POST3_ACCESS_KEY and POST3_SECRET_KEY replace it; AWS_* variables are not read,
because they are what clients on the same machine use against other servers.
"""

from __future__ import annotations

import configparser
import os
import secrets
import stat
import string
from collections.abc import Callable, Sequence
from pathlib import Path

from attrs import field, frozen

FILE_NAME = "credentials"
PROFILE = "post3"

_ACCESS_ALPHABET = string.ascii_uppercase + string.digits
_SECRET_ALPHABET = string.ascii_letters + string.digits


class CredentialsRefused(Exception):
    """The credentials file cannot be used as it is. The text is one clear line, without secrets."""


@frozen
class RootKey:
    """An access key and its secret.

    Attributes:
        path: the file that keeps it; None when it came from the environment.
        made: whether it was made just now.
    """

    access_key: str
    secret_key: str = field(repr=False)
    path: Path | None = None
    made: bool = False


def root_key(data_dir: Path, choice: Callable[[Sequence[str]], str] = secrets.choice) -> RootKey:
    """Read the root key of a data directory; make it when there is none.

    Args:
        data_dir: an existing directory.
        choice: picks one of several characters at random.

    Raises:
        CredentialsRefused: the file cannot be read or made, others can read it, or it holds no key.
    """
    path = data_dir / FILE_NAME
    if os.path.lexists(path):
        return _read(path)
    try:
        return _make(path, choice)
    except OSError as error:
        raise CredentialsRefused(f"{path} cannot be made: {error.strerror}") from None


def new_key(choice: Callable[[Sequence[str]], str] = secrets.choice) -> tuple[str, str]:
    """A new access key and its secret, as long as AWS's. `choice` picks one of several characters at random."""
    access_key = "POST3" + "".join(choice(_ACCESS_ALPHABET) for _ in range(15))
    return access_key, "".join(choice(_SECRET_ALPHABET) for _ in range(40))


def _make(path: Path, choice: Callable[[Sequence[str]], str]) -> RootKey:
    access_key, secret_key = new_key(choice)
    text = f"[{PROFILE}]\naws_access_key_id = {access_key}\naws_secret_access_key = {secret_key}\n"
    # Under another name first: a start that is cut off must not leave half a key, nor lose one that was shown.
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.unlink(missing_ok=True)
    with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return RootKey(access_key, secret_key, path, made=True)


def _read(path: Path) -> RootKey:
    try:
        with path.open(encoding="utf-8") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = file.read()
    except OSError as error:
        raise CredentialsRefused(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CredentialsRefused(f"{path} is not UTF-8") from None
    if mode & 0o077:
        raise CredentialsRefused(f"{path} can be read or written by others (mode {mode:04o}): chmod 600 it")
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(text)
        profile = parser[PROFILE]
        return RootKey(profile["aws_access_key_id"], profile["aws_secret_access_key"], path)
    except (configparser.Error, KeyError):
        raise CredentialsRefused(
            f"{path} has no profile [{PROFILE}] with both keys: repair it, or remove it to have a new key made"
        ) from None
