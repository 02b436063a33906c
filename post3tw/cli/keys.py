"""`post3 keys`: the access keys of an identities file. A running server notices within seconds.

The file is named by --identities or POST3_IDENTITIES, as for the server. What people wrote into it stays.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from post3tw.credentials import new_key
from post3tw.model.identity import Identity
from post3tw.service.identities import Credential, IdentitiesRefused, parse_identities, read_identities
from post3tw.service.identities_file import change_identities, with_disabled, with_user, without_user

_USER_ID = re.compile(r"[\w.@+=,$-]{1,128}", re.ASCII)


def main(arguments: Sequence[str]) -> int:
    """Run one action; the exit status."""
    options = _parser().parse_args(arguments)
    if not options.identities:
        print("post3 keys: which file? Give --identities FILE, or set POST3_IDENTITIES", file=sys.stderr)
        return 1
    path = Path(options.identities)
    try:
        if options.action == "list":
            _list(path)
        elif options.action == "create":
            _create(path, options)
        elif options.action == "delete":
            change_identities(path, lambda text: without_user(text, options.access_key))
            print(f"deleted {options.access_key}")
        else:
            disabled = options.action == "disable"
            change_identities(path, lambda text: with_disabled(text, options.access_key, disabled))
            print(f"{options.action}d {options.access_key}")
    except IdentitiesRefused as error:
        print(f"post3 keys: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    file = argparse.ArgumentParser(add_help=False)
    file.add_argument(
        "--identities",
        metavar="FILE",
        default=os.environ.get("POST3_IDENTITIES", ""),
        help="the identities file (default: POST3_IDENTITIES)",
    )
    parser = argparse.ArgumentParser(prog="post3 keys", description="Access keys of an identities file.")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", parents=[file], help="show the keys, without their secrets")
    create = actions.add_parser(
        "create",
        parents=[file],
        help="make a key and show its secret",
        description="Make a key and show its secret, this once. USER is the id of a new user, or of one who is to have "
        "another key; the file is made when it is missing.",
    )
    create.add_argument("user", metavar="USER", help="the user's id, which is shown as Owner")
    create.add_argument("--name", help="what is shown beside the id (default: the id)")
    create.add_argument("--email", help="an address by which others may grant rights")
    create.add_argument("--tenant", default="", help="a namespace of buckets of its own")
    create.add_argument("--admin", action="store_true", help="may do everything in every bucket")
    for action, summary in (
        ("disable", "refuse a key, but keep it in the file"),
        ("enable", "take a disabled key again"),
        ("delete", "take a key out of the file"),
    ):
        actions.add_parser(action, parents=[file], help=summary).add_argument("access_key", metavar="ACCESS_KEY")
    return parser


def _list(path: Path) -> None:
    rows = [("ACCESS KEY", "USER", "NAME", "TENANT", "")]
    for key, credential in read_identities(path).items():
        identity = credential.identity
        marks = [word for word, on in (("admin", identity.admin), ("disabled", credential.disabled)) if on]
        rows.append((key, identity.user_id, identity.display_name, identity.tenant, " ".join(marks)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _create(path: Path, options: argparse.Namespace) -> None:
    access_key, secret = new_key()
    new = not path.exists()

    def add(text: str) -> str:
        return with_user(text, Credential(_identity(text, access_key, options), secret))

    change_identities(path, add, create=True)
    print(f"[{options.user}]\naws_access_key_id = {access_key}\naws_secret_access_key = {secret}")
    if new:
        print(f"{path} is new: start the server with --identities {path}", file=sys.stderr)


def _identity(text: str, access_key: str, options: argparse.Namespace) -> Identity:
    """Whose the new key is: a new user's, or another one of a user who has one already.

    Raises:
        IdentitiesRefused: not an id; or the options would make another person of a user who is there.
    """
    if not _USER_ID.fullmatch(options.user):
        raise IdentitiesRefused("an id is 1 to 128 letters, digits and any of _ . @ + = , $ -")
    asked = Identity(
        options.user, options.name or options.user, access_key, options.tenant, options.email or None, options.admin
    )
    for credential in parse_identities(text).values():
        known = credential.identity
        if known.user_id == asked.user_id:
            if options.name or options.email or options.tenant or options.admin:
                raise IdentitiesRefused(f"{options.user} is there already; another key is made without further options")
            return Identity(known.user_id, known.display_name, access_key, known.tenant, known.email, known.admin)
    return asked
