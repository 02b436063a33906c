"""`post3 policy`."""

from __future__ import annotations

import os
import sys
from functools import partial
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase, TestCase

from post3tw.api import types
from post3tw.cli import main
from post3tw.model.bucket import Bucket
from post3tw.model.identity import Admission, Caller, Identity
from post3tw.model.ids import IdSource
from post3tw.service.multipart import Multipart
from post3tw.service.objects import Objects
from post3tw.service.store import Store
from post3tw.storage.blobs.files import FileBlobs
from post3tw.storage.files import Files
from post3tw.storage.index.sqlite.index import SqliteIndex
from post3tw.storage.index.transactions.buckets import create_bucket, find_bucket
from post3tw.storage.index.transactions.documents import put_document
from post3tw.storage.threads import NoThreads
from tests.backends import started
from tests.service.policy.documents import document, statement
from tests.service.stores import BytesBody

ADA, BOB = Identity("ada", "Ada", "ADAKEY"), Identity("bob", "Bob", "BOBKEY")
ARN = "arn:aws:s3:::bucket"

IDENTITIES = """
[[user]]
access_key = "ADAKEY"
secret_key = "ada's secret"
id = "ada"
display_name = "Ada"
[[user]]
access_key = "BOBKEY"
secret_key = "bob's secret"
id = "bob"
display_name = "Bob"
tenant = "research"
"""


class _Verb(SynchronousTestCase):
    """Runs the verb."""

    def setUp(self) -> None:
        """No variable of whoever runs the tests has a say."""
        for name in ("POST3_IDENTITIES", "POST3_DATA_DIR"):
            self.patch(os, "environ", {k: v for k, v in os.environ.items() if k != name})

    def verb(self, *arguments: str, status: int) -> str:
        """What it says, on the stream of its status."""
        out, err = StringIO(), StringIO()
        self.patch(sys, "stdout", out)
        self.patch(sys, "stderr", err)
        self.assertEqual(main(["policy", *arguments]), status, out.getvalue() + err.getvalue())
        self.assertEqual(out.getvalue() if status == 2 else err.getvalue(), "")
        return out.getvalue() + err.getvalue()

    def file(self, text: str) -> str:
        """A file with this text, that nobody else can read."""
        path = Path(self.mktemp())
        path.write_text(text)
        path.chmod(0o600)
        return str(path)


class CheckTests(_Verb):
    """`post3 policy check`."""

    def test_policies(self) -> None:
        """It says whether S3 takes a policy, and whether that makes the bucket public."""
        both = self.file(document(statement(), statement("Deny")))
        one = self.file(document(statement(Principal={"AWS": "research"})))
        self.assertEqual(
            self.verb("check", both, "--bucket", "bucket", status=0),
            "taken: 2 statements, public: it allows something to everybody\n",
        )
        self.assertEqual(self.verb("check", one, "--bucket", "bucket", status=0), "taken: 1 statement, not public\n")

    def test_refused(self) -> None:
        """It says what S3 would say, and what S3 does not say: about which word of which statement."""
        elsewhere = self.file(document(statement()))
        misspelt = self.file(document(statement(), statement("Deny", Action=["s3:GetObject", "s3:GetObjekt"])))
        unknown = self.file(document(statement(Effekt="Allow")))
        self.assertEqual(
            self.verb("check", elsewhere, "--bucket", "other", status=1),
            f"refused: Policy has invalid resource, {ARN}/*, in statement 1\n",
        )
        self.assertEqual(
            self.verb("check", misspelt, "--bucket", "bucket", status=1),
            "refused: Policy has invalid action, s3:GetObjekt, in statement 2\n",
        )
        self.assertEqual(
            self.verb("check", unknown, "--bucket", "bucket", status=1),
            "refused: Unknown field Effekt, in statement 1\n",
        )

    def test_standard_input(self) -> None:
        """A policy can come from a pipe."""
        self.patch(sys, "stdin", TextIOWrapper(BytesIO(document(statement()).encode())))
        self.assertIn("taken", self.verb("check", "-", "--bucket", "bucket", status=0))

    def test_no_file(self) -> None:
        """A file that is not there is one clear line."""
        missing = self.mktemp()
        self.assertEqual(
            self.verb("check", missing, "--bucket", "bucket", status=2),
            f"post3 policy: {missing} cannot be read: No such file or directory\n",
        )


class FileTests(_Verb):
    """`post3 policy explain` without a data directory."""

    def explain(self, user: str, *more: str, policy: str = "", action: str = "s3:GetObject", status: int) -> str:
        """Ask about a key of a bucket of Ada's."""
        path = self.file(policy or document(statement(Sid="Readers", Principal={"AWS": "research"})))
        arguments = ["--as", user, "--action", action, "--policy", path, "--owner", "ada"]
        return self.verb("explain", *arguments, "--resource", f"{ARN}/key", *more, status=status)

    def test_statement(self) -> None:
        """The statement that decides is shown as it was written."""
        said = self.explain("bob", policy=document(statement(Sid="All")), status=0)
        self.assertTrue(said.startswith("allowed: bob may s3:GetObject on arn:aws:s3:::bucket/key\n"), said)
        self.assertIn("statement 1 (All) of the bucket's policy:\n  {\n", said)
        self.assertIn('  "Sid": "All"', said)

    def test_control_characters(self) -> None:
        """What a policy's author wrote is no command for the terminal of whoever looks at it."""
        said = self.explain("bob", policy=document(statement(Sid="a\x1b[2J")), status=0)
        self.assertIn("statement 1 (a\\x1b[2J) of the bucket's policy", said)
        self.assertNotIn("\x1b", said)

    def test_users(self) -> None:
        """Users are those of the identities file, in their own tenants, and name other tenants as in requests."""
        identities = ("--identities", self.file(IDENTITIES))
        self.assertIn("statement 1 (Readers)", self.explain("BOBKEY", *identities, status=0))
        self.assertIn("bucket/key of tenant research\n", self.explain("bob", *identities, status=0))
        said = self.explain("bob", *identities, "--resource", ":bucket/key", status=0)
        self.assertIn("allowed: bob may s3:GetObject on arn:aws:s3:::bucket/key\n", said)
        said = self.explain("bob", "--resource", "research:bucket/key", status=1)
        self.assertIn("because nothing allows it\n", said)
        self.assertIn("to allow it: a statement of the bucket's policy", said)

    def test_condition_keys(self) -> None:
        """Values of condition keys can be given; those that count and were not are named."""
        policy = document(statement(Condition={"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}))
        self.assertIn("condition key aws:sourceip: no value", self.explain("bob", policy=policy, status=1))
        said = self.explain("bob", "--context", "aws:SourceIp=192.0.2.9", policy=policy, status=0)
        self.assertIn("condition key aws:sourceip: 192.0.2.9\n", said)
        self.assertIn("not a condition key", self.explain("bob", "--context", "aws:Sourceip", status=2))
        self.assertIn("not a condition key", self.explain("bob", "--context", "aws:SourceIpp=1", status=2))

    def test_tags(self) -> None:
        """The object has the tags that are given."""
        policy = document(statement(Condition={"StringEquals": {"s3:ExistingObjectTag/a": "b"}}))
        said = self.explain("anonymous", policy=policy, status=1)
        self.assertIn("denied: an anonymous caller may not", said)
        said = self.explain("anonymous", "--context", "s3:ExistingObjectTag/a=b", policy=policy, status=0)
        self.assertIn("allowed: anybody may", said)
        self.assertIn("object: owner ada, private, tags: a=b\n", said)

    def test_mistakes(self) -> None:
        """A question that makes no sense is answered by one line that says why, and secrets are never shown."""
        identities = self.file(IDENTITIES)
        for said, arguments in (
            ("has no user eve; there are: root, ada, bob", ["--as", "eve", "--identities", identities]),
            ("--as is empty", ["--as", ""]),
            ("not one action of S3", ["--action", "s3:Get*"]),
            ("not about an object", ["--action", "s3:ListBucket"]),
            ("not about a bucket", ["--resource", ARN]),
            ("is neither arn:aws:s3:::BUCKET nor", ["--resource", "arn:aws:sqs:::queue"]),
            ("the policy is none: Policy has invalid resource", ["--resource", "other/key"]),
        ):
            found = self.explain("bob", *arguments, status=2)
            self.assertIn(said, found)
            self.assertEqual(found.count("\n"), 1)
            self.assertNotIn("secret", found)
        arguments = ["--as", "bob", "--action", "s3:GetObject", "--resource", "bucket/key", "--owner", "ada"]
        self.assertIn("--owner needs --policy", self.verb("explain", *arguments, status=2))


class DirectoryTests(TestCase):
    """`post3 policy explain` on a data directory, whose index is open as in a running server."""

    async def setUp(self) -> None:  # type: ignore[override]
        """A bucket of Ada's with a policy, an object of hers with a tag and one of Bob's."""
        from twisted.internet import reactor

        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.index = await started(self, SqliteIndex(str(self.directory / "index.sqlite3"), reactor))
        blobs = FileBlobs(Files(), NoThreads(), self.mktemp(), self.mktemp())  # not started: bodies here are small
        self.store = Store(self.index, blobs, IdSource(lambda: 1_700_000_000.0), "us-east-1")
        self.bucket = Bucket(1, "", "bucket", "ada", "Ada", 0, "us-east-1")
        await self.index.run(lambda tx: create_bucket(tx, self.bucket))
        await self.put_policy(statement(Condition={"StringEquals": {"s3:ExistingObjectTag/team": "red"}}))
        for key, identity in (("adas", ADA), ("bobs", BOB)):
            await Objects(self.store).put_object(
                await self.admitted("PutObject", identity),
                types.PutObjectInput(key=key, tagging="team=red"),
                BytesBody(b"x"),
            )

    async def admitted(self, operation: str, identity: Identity) -> Caller:
        """A caller who was admitted to an operation on the bucket as it is."""
        bucket = await self.index.read(partial(find_bucket, tenant="", name="bucket"))
        return Caller(identity, admission=Admission(operation, bucket))

    async def put_policy(self, *statements: Any, kind: str = "policy") -> None:
        """Replace the bucket's policy."""
        body = document(*statements).encode()
        await self.index.run(lambda tx: put_document(tx, self.bucket.id, kind, body))

    def explain(self, *arguments: str, status: int) -> str:
        """Ask."""
        out, err = StringIO(), StringIO()
        self.patch(sys, "stdout", out)
        self.patch(sys, "stderr", err)
        arguments = ("policy", "explain", "--identities", "", "--data-dir", str(self.directory), *arguments)
        self.assertEqual(main(arguments), status, out.getvalue() + err.getvalue())
        return out.getvalue() + err.getvalue()

    def ask(self, user: str, key: str, *more: str, status: int) -> str:
        """Ask whether a user may get an object."""
        question = ("--as", user, "--action", "s3:GetObject", "--resource", f"{ARN}/{key}")
        return self.explain(*question, *more, status=status)

    def test_object(self) -> None:
        """Owner, list and tags are those of the object; what the policy says is what it says to the server."""
        self.assertIn("object: owner ada, private, tags: team=red", self.ask("eve", "adas", status=0))
        self.assertIn("the object belongs to somebody else", self.ask("eve", "bobs", status=1))
        self.assertIn("because the object's owner may", self.ask("bob", "bobs", status=0))
        self.assertIn("object: there is none", self.ask("eve", "nobodys", status=1))
        self.assertIn("administrators may do everything", self.ask("root", "bobs", status=0))

    def test_tags_of_ones_own(self) -> None:
        """The object has the tags that it has: others cannot be given."""
        said = self.ask("eve", "adas", "--context", "s3:ExistingObjectTag/team=blue", status=2)
        self.assertIn("are those it has in the data directory", said)

    async def test_requester_pays(self) -> None:
        """Where the requester pays, what others may do they may only when they say that they know."""
        await self.index.run(lambda tx: put_document(tx, self.bucket.id, "request_payment", b"Requester"))
        self.assertIn("only with x-amz-request-payer: requester", self.ask("eve", "adas", status=0))
        self.assertNotIn("x-amz-request-payer", self.ask("ada", "adas", status=0))

    async def test_another_policy(self) -> None:
        """A policy can be tried before it is put, and changes nothing."""
        path = Path(self.mktemp())
        path.write_text(document(statement("Deny", Sid="Nobody")))
        self.assertIn("statement 1 (Nobody)", self.ask("ada", "adas", "--policy", str(path), status=1))
        self.ask("ada", "adas", status=0)

    async def test_unreadable_policy(self) -> None:
        """A policy that cannot be understood denies, and is named."""
        await self.index.run(lambda tx: put_document(tx, self.bucket.id, "policy", b"{"))
        self.assertIn("unreadable: policy", self.ask("ada", "adas", status=1))

    async def test_upload(self) -> None:
        """What is about an upload is decided by who began it."""
        caller = await self.admitted("CreateMultipartUpload", BOB)
        begun = await Multipart(self.store).create_multipart_upload(caller, types.CreateMultipartUploadInput(key="k"))
        question = ("--action", "s3:AbortMultipartUpload", "--resource", f"{ARN}/k")
        assert begun.upload_id is not None
        self.explain("--as", "bob", *question, "--upload-id", begun.upload_id, status=0)
        self.explain("--as", "eve", *question, "--upload-id", begun.upload_id, status=1)
        self.assertIn("--upload-id names one", self.explain("--as", "bob", *question, status=2))

    def test_nothing_there(self) -> None:
        """A bucket or an index that is not there is said to be missing; nothing is made."""
        said = self.explain("--as", "ada", "--action", "s3:ListBucket", "--resource", "other", status=2)
        self.assertIn("has no bucket other", said)
        self.directory = Path(self.mktemp())
        said = self.ask("ada", "adas", status=2)
        self.assertIn(f"there is no index in {self.directory}: ", said)
        self.assertIn("for a store in a database give --policy and --owner", said)
        self.assertFalse(self.directory.exists())

    async def test_stopped_server(self) -> None:
        """After the server has stopped, the directory is read without leaving anything behind."""
        await self.index.stop()
        before = sorted(os.listdir(self.directory))
        self.ask("eve", "adas", status=0)
        self.assertEqual(sorted(os.listdir(self.directory)), before)
        await self.index.start()

    async def test_written_meanwhile(self) -> None:
        """What is written while somebody looks is seen by the next one."""
        self.ask("eve", "adas", status=0)
        await self.put_policy(statement("Deny"))
        self.ask("eve", "adas", status=1)
