"""`post3 policy`: what a bucket policy means, and who may do what.

    post3 policy explain --as ada --action s3:GetObject --resource arn:aws:s3:::photos/cat.jpg --data-dir ./data
    post3 policy check policy.json --bucket photos

`explain` asks the function that the server asks, about what it finds in a data directory: the bucket, what is
configured about it, and the object with its owner, list and tags. It opens the index read-only, whether a server is
running or not. With --policy it decides as if that file were the bucket's policy, so that one can be tried before it is
put; with --owner it needs no data directory at all, and the bucket is one that has nothing but that policy.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from post3tw.cli.policy_explanation import explain
from post3tw.cli.policy_question import BadQuestion, Question, complaint, question_of
from post3tw.model.errors import MalformedPolicy
from post3tw.service.identities import IdentitiesRefused
from post3tw.service.policy.language import parse_policy
from post3tw.service.policy.public import is_public
from post3tw.storage.interfaces import StoreRefused

ALLOWED, DENIED, MISTAKEN = 0, 1, 2
"""Exit statuses of `explain`; `check` says DENIED of a policy that S3 refuses."""


def main(arguments: Sequence[str]) -> int:
    """Run one action; the exit status."""
    options = _parser().parse_args(arguments)
    try:
        return _check(options) if options.verb == "check" else _explain(question_of(options))
    except OSError as error:
        print(f"post3 policy: {error.filename or 'the policy'} cannot be read: {error.strerror}", file=sys.stderr)
        return MISTAKEN
    except (BadQuestion, StoreRefused, IdentitiesRefused) as error:
        print(f"post3 policy: {error}", file=sys.stderr)
        return MISTAKEN


def _explain(question: Question) -> int:
    explanation = explain(question)
    for line in explanation.lines:
        print(_shown(line))
    return ALLOWED if explanation.decision.allowed else DENIED


def _check(options: argparse.Namespace) -> int:
    text = sys.stdin.buffer.read() if options.file == "-" else Path(options.file).read_bytes()
    try:
        policy = parse_policy(text, bucket=options.bucket)
    except MalformedPolicy as error:
        print(_shown(f"refused: {complaint(error)}"))
        return DENIED
    audience = "public: it allows something to everybody" if is_public(policy) else "not public"
    print(f"taken: {len(policy.statements)} statement{'s' * (len(policy.statements) != 1)}, {audience}")
    return ALLOWED


def _shown(line: str) -> str:
    """The line without what a terminal would take for a command: policies, keys and tags come from others."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="post3 policy", description="What bucket policies mean.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="ACTION")
    check = verbs.add_parser("check", help="say whether S3 takes a policy, and whether it is public")
    check.add_argument("file", metavar="FILE", help="the policy; - for standard input")
    check.add_argument("--bucket", required=True, help="the name of the bucket that it is for")
    _add_explain(
        verbs.add_parser(
            "explain",
            help="say whether somebody may do something, and which statement says so",
            description="Say whether somebody may do something, and why. Exits with 0 when it is allowed, with 1 when "
            "it is not, with 2 when the question makes no sense.",
        )
    )
    return parser


def _add_explain(explain: argparse.ArgumentParser) -> None:
    explain.add_argument(
        "--as",
        dest="user",
        metavar="USER",
        required=True,
        help="who asks: an id or access key of the identities file, root, or anonymous",
    )
    explain.add_argument("--action", required=True, help="for what, such as s3:PutObject")
    explain.add_argument(
        "--resource",
        required=True,
        metavar="ARN",
        help="arn:aws:s3:::BUCKET or BUCKET/KEY; TENANT:BUCKET is another tenant's",
    )
    explain.add_argument("--version-id", help="of which version of the object (default: the latest)")
    explain.add_argument("--upload-id", help="of which upload, for actions on one")
    explain.add_argument(
        "--context",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="the value of a condition key, such as aws:SourceIp=192.0.2.1; may be given several times",
    )
    explain.add_argument("--policy", metavar="FILE", help="decide as if this were the bucket's policy")
    source = explain.add_mutually_exclusive_group()
    source.add_argument(
        "--data-dir",
        metavar="DIR",
        default=os.environ.get("POST3_DATA_DIR", "./data"),
        help="the directory that the server keeps its data in (default: POST3_DATA_DIR or ./data)",
    )
    source.add_argument("--owner", metavar="USER", help="look into no directory: this user's bucket, with --policy")
    explain.add_argument(
        "--identities",
        metavar="FILE",
        default=os.environ.get("POST3_IDENTITIES", ""),
        help="the identities file (default: POST3_IDENTITIES); without one, USER is taken for an id",
    )
