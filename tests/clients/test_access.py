"""Several users, and nobody, on one server: policies and lists as boto3 and plain HTTP meet them."""

from __future__ import annotations

import atexit
import json
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from post3tw.testing.server import RunningServer
from tests.backends import new_server
from tests.clients.case import ClientCase

USER = '[[user]]\naccess_key = "{0}KEY"\nsecret_key = "{0}-secret"\nid = "{0}"\ndisplay_name = "{0}"\n'


@cache
def server_with_users() -> RunningServer:
    """A server with the users ada and bob, for all tests of this module."""
    identities = Path(mkdtemp(prefix="post3-testing-")) / "identities.toml"
    identities.touch(mode=0o600)
    identities.write_text("\n".join(USER.format(name) for name in ("ada", "bob")))
    server = new_server(options=[f"--identities={identities}"]).start()
    atexit.register(server.stop)
    return server


class AccessTests(ClientCase):
    """Ada's bucket, and who else gets at it."""

    def setUp(self) -> None:
        """Ada makes a bucket with an object."""
        super().setUp()
        self.server = server_with_users()
        self.addCleanup(self.assert_no_failure, len(self.server.output))
        self.ada, self.bob = self.client("ada"), self.client("bob")
        self.ada.create_bucket(Bucket=self.bucket)
        self.ada.put_object(Bucket=self.bucket, Key="key", Body=b"data")

    def client(self, name: str) -> Any:
        """A user's client."""
        client = boto3.client(
            "s3",
            endpoint_url=self.server.endpoint,
            aws_access_key_id=f"{name}KEY",
            aws_secret_access_key=f"{name}-secret",
            region_name="us-east-1",
            config=Config(signature_version="s3v4", retries={"total_max_attempts": 1}),
        )
        self.addCleanup(client.close)
        return client

    def url(self, key: str) -> str:
        """Where an object is."""
        return f"{self.server.endpoint}/{self.bucket}/{key}"

    def status(self, url: str, **headers: str) -> int:
        """What a plain GET answers."""
        request = Request(url, headers={name.replace("_", "-"): value for name, value in headers.items()})
        try:
            with urlopen(request, timeout=60) as answer:
                return int(answer.status)
        except HTTPError as error:
            with error:
                return error.code

    def allow(self, **statement: Any) -> None:
        """A policy of one statement."""
        resource = f"arn:aws:s3:::{self.bucket}/*"
        defaults = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": resource}
        document = {"Version": "2012-10-17", "Statement": [{**defaults, **statement}]}
        self.ada.put_bucket_policy(Bucket=self.bucket, Policy=json.dumps(document))

    def denied(self, call: Any, **members: Any) -> None:
        """Check that a call answers AccessDenied."""
        error = self.assertRaises(ClientError, call, Bucket=self.bucket, **members)
        self.assertIn(error.response["Error"]["Code"], ("AccessDenied", "403"))

    def test_policy(self) -> None:
        """A policy lets in whom it names and nobody else, until it is deleted."""
        self.denied(self.bob.get_object, Key="key")
        self.allow(Principal={"AWS": "arn:aws:iam:::user/bob"})
        self.assertEqual(self.bob.get_object(Bucket=self.bucket, Key="key")["Body"].read(), b"data")
        self.denied(self.bob.put_object, Key="key", Body=b"")
        self.denied(self.bob.head_object, Key="missing")
        self.assertEqual(self.status(self.url("key")), 403)
        self.ada.delete_bucket_policy(Bucket=self.bucket)
        self.denied(self.bob.get_object, Key="key")

    def test_nobody(self) -> None:
        """Anonymous callers get public objects, by policy or by list, and the same refusal for all others."""
        self.assertEqual((self.status(self.url("key")), self.status(self.url("missing"))), (403, 403))
        self.ada.put_object_acl(Bucket=self.bucket, Key="key", ACL="public-read")
        self.assertEqual((self.status(self.url("key")), self.status(self.url("missing"))), (200, 403))
        self.ada.put_bucket_acl(Bucket=self.bucket, ACL="public-read")
        self.assertEqual((self.status(self.url("missing")), self.status(self.url(""))), (404, 200))
        self.ada.put_public_access_block(Bucket=self.bucket, PublicAccessBlockConfiguration={"IgnorePublicAcls": True})
        self.assertEqual((self.status(self.url("key")), self.status(self.url(""))), (403, 403))

    def test_conditional_requests_tell_nothing(self) -> None:
        """AUZ-8: conditions are not looked at before the caller may look at the object."""
        for key in ("key", "missing"):
            for name in ("If_Modified_Since", "If_Unmodified_Since"):
                date = "Thu, 01 Jan 2000 00:00:00 GMT"
                self.assertEqual(self.status(self.url(key), **{name: date}), 403)

    def test_presigned(self) -> None:
        """A presigned URL may what its signer may, and conditions can see that it is one."""
        members = {"Params": {"Bucket": self.bucket, "Key": "key"}, "ExpiresIn": 60}
        urls = [client.generate_presigned_url("get_object", **members) for client in (self.ada, self.bob)]
        self.assertEqual([self.status(url) for url in urls], [200, 403])
        self.allow(Principal={"AWS": "arn:aws:iam:::user/bob"})
        self.assertEqual(self.status(urls[1]), 200)
        self.allow(Effect="Deny", Condition={"StringEquals": {"s3:authType": "REST-QUERY-STRING"}})
        self.assertEqual([self.status(url) for url in urls], [403, 403])
        self.ada.get_object(Bucket=self.bucket, Key="key")

    def test_spoofed_address(self) -> None:
        """AUZ-11: an address in a header that no trusted proxy wrote is no address, nor are names of condition keys."""
        self.allow(Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}})
        spoofed = {"X_Forwarded_For": "10.0.0.1", "aws_SourceIp": "10.0.0.1", "X_Real_IP": "10.0.0.1"}
        self.assertEqual(self.status(self.url("key"), **spoofed), 403)
        self.allow(Condition={"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}})
        self.assertEqual(self.status(self.url("key"), **spoofed), 200)
        self.allow(Condition={"StringEquals": {"aws:userid": "bob"}})
        self.assertEqual(self.status(self.url("key"), userid="bob", aws_userid="bob"), 403)

    def test_invented_headers(self) -> None:
        """AUZ-7: headers that look like a server's own notes are stored nowhere, and the object stays what it is."""
        invented = {
            "x-amz-meta-owner": "bob",
            "x-amz-acl-internal": "public-read",
            "x-amz-replication-status": "REPLICA",
            "x-amz-server-side-encryption-internal-key": "key",
            "x-post3-internal-owner": "bob",
            "x-post3-acl": "public-read",
        }

        def add_headers(params: Any, **_: Any) -> None:
            params["headers"].update(invented)

        self.ada.meta.events.register("before-call.s3.PutObject", add_headers)
        self.ada.put_object(Bucket=self.bucket, Key="key", Body=b"data")
        found = self.ada.get_object(Bucket=self.bucket, Key="key")
        self.assertEqual((found["Body"].read(), found["Metadata"]), (b"data", {"owner": "bob"}))
        headers = found["ResponseMetadata"]["HTTPHeaders"]
        self.assertFalse({name for name in invented if name != "x-amz-meta-owner"} & headers.keys())
        self.assertEqual(self.ada.get_object_acl(Bucket=self.bucket, Key="key")["Owner"]["ID"], "ada")
        self.denied(self.bob.get_object, Key="key")
        self.assertEqual(self.status(self.url("key")), 403)

    def test_referer(self) -> None:
        """A page of one's own is let in by its Referer."""
        self.allow(Condition={"StringLike": {"aws:Referer": "https://example.com/*"}})
        self.assertEqual(self.status(self.url("key"), Referer="https://example.com/page"), 200)
        self.assertEqual(self.status(self.url("key"), Referer="https://example.org/page"), 403)
        self.assertEqual(self.status(self.url("key")), 403)

    def test_ownership(self) -> None:
        """What Bob puts into Ada's bucket is his, or hers where she enforces that."""
        self.ada.put_bucket_acl(Bucket=self.bucket, GrantWrite="id=bob", GrantFullControl="id=ada")
        self.bob.put_object(Bucket=self.bucket, Key="bobs", Body=b"Bob's")
        self.denied(self.ada.get_object, Key="bobs")
        rules = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
        error = self.assertRaises(
            ClientError, self.ada.put_bucket_ownership_controls, Bucket=self.bucket, OwnershipControls=rules
        )
        self.assertEqual(error.response["Error"]["Code"], "InvalidBucketAclWithObjectOwnership")
        self.ada.put_bucket_acl(Bucket=self.bucket, ACL="private")
        self.ada.put_bucket_ownership_controls(Bucket=self.bucket, OwnershipControls=rules)
        self.assertEqual(self.ada.get_object(Bucket=self.bucket, Key="bobs")["Body"].read(), b"Bob's")
        self.denied(self.bob.get_object, Key="bobs")


class NewBucketTests(ClientCase):
    """--new-bucket-defaults aws."""

    def setUp(self) -> None:
        """A server of its own."""
        super().setUp()
        self.closed = self.enterContext(new_server(options=["--new-bucket-defaults=aws"]))

    def test_closed_at_first(self) -> None:
        """A new bucket is closed as AWS closes it, and can be opened."""
        s3 = boto3.client(
            "s3",
            endpoint_url=self.closed.endpoint,
            aws_access_key_id=self.closed.access_key,
            aws_secret_access_key=self.closed.secret_key,
            region_name="us-east-1",
        )
        self.addCleanup(s3.close)
        s3.create_bucket(Bucket=self.bucket)
        block = s3.get_public_access_block(Bucket=self.bucket)["PublicAccessBlockConfiguration"]
        self.assertEqual(set(block.values()), {True})
        error = self.assertRaises(ClientError, s3.put_object, Bucket=self.bucket, Key="key", ACL="public-read")
        self.assertEqual(error.response["Error"]["Code"], "AccessControlListNotSupported")
        s3.delete_public_access_block(Bucket=self.bucket)
        s3.delete_bucket_ownership_controls(Bucket=self.bucket)
        s3.put_object(Bucket=self.bucket, Key="key", ACL="public-read", Body=b"data")
        with urlopen(f"{self.closed.endpoint}/{self.bucket}/key", timeout=60) as answer:
            self.assertEqual(answer.read(), b"data")
