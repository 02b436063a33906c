"""Two nodes behind a proxy are one server to every client."""

from __future__ import annotations

import atexit
import subprocess
from functools import cache
from itertools import cycle
from typing import Any

import boto3
from botocore.config import Config
from twisted.trial.unittest import SynchronousTestCase

from post3tw.testing.postgresql import shared_cluster
from post3tw.testing.server import RunningServer
from tests.clients.case import find_client
from tests.hostile.ledger import MIB, Content
from tests.postgresql.case import ACCESS_KEY, SECRET_KEY, Load, NodesCase, client, node
from tests.postgresql.haproxy import Proxy


@cache
def two_nodes() -> tuple[RunningServer, ...]:
    """Two nodes on one database, for all tests of this process: each test has a bucket of its own."""
    dsn = shared_cluster().create_database()
    nodes = tuple(node(dsn, "--durability=relaxed").start() for _ in range(2))
    for each in nodes:
        atexit.register(each.stop)
    return nodes


@cache
def shared_proxy() -> Proxy:
    """haproxy in front of them."""
    proxy = Proxy(two_nodes()).__enter__()
    atexit.register(proxy.__exit__, None, None, None)
    return proxy


class TwoNodesTests(SynchronousTestCase):
    """Each of them, without a proxy."""

    def setUp(self) -> None:
        """Find the nodes."""
        self.nodes = two_nodes()

    def s3(self, endpoint: str) -> Any:
        """A boto3 client."""
        config = Config(signature_version="s3v4", retries={"max_attempts": 0})
        made = boto3.client(
            "s3",
            endpoint_url=endpoint,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            region_name="us-east-1",
            config=config,
        )
        self.addCleanup(made.close)
        return made

    def test_read_what_the_other_wrote(self) -> None:
        """What one node acknowledged the other shows at once: objects, listings, versions, uploads, deletes."""
        one, two = (self.s3(each.endpoint) for each in self.nodes)
        one.create_bucket(Bucket="shared")
        large = Content(1, 9 * MIB).body
        for writer, reader in ((one, two), (two, one)):
            writer.put_object(Bucket="shared", Key="small", Body=b"s", Tagging="a=b")
            self.assertEqual(reader.get_object_tagging(Bucket="shared", Key="small")["TagSet"][0]["Value"], "b")
            writer.put_object(Bucket="shared", Key="large", Body=large)
            self.assertEqual(reader.get_object(Bucket="shared", Key="large")["Body"].read(), large)
            listed = reader.list_objects_v2(Bucket="shared")["Contents"]
            self.assertEqual([entry["Key"] for entry in listed], ["large", "small"])
            writer.delete_object(Bucket="shared", Key="small")
            with self.assertRaises(reader.exceptions.NoSuchKey):
                reader.get_object(Bucket="shared", Key="small")
        one.delete_object(Bucket="shared", Key="large")
        two.delete_bucket(Bucket="shared")
        self.assertNotIn("shared", [bucket["Name"] for bucket in one.list_buckets()["Buckets"]])

    def test_parts_through_both(self) -> None:
        """Parts may be sent to different nodes, and the upload completed at either."""
        both = cycle([self.s3(each.endpoint) for each in self.nodes])
        next(both).create_bucket(Bucket="parts")
        upload = next(both).create_multipart_upload(Bucket="parts", Key="k")["UploadId"]
        bodies = [Content(number, 5 * MIB).body for number in range(3)]
        parts = [
            {
                "PartNumber": n,
                "ETag": next(both).upload_part(Bucket="parts", Key="k", UploadId=upload, PartNumber=n, Body=body)[
                    "ETag"
                ],
            }
            for n, body in enumerate(bodies, 1)
        ]
        next(both).complete_multipart_upload(Bucket="parts", Key="k", UploadId=upload, MultipartUpload={"Parts": parts})
        self.assertEqual(next(both).get_object(Bucket="parts", Key="k")["Body"].read(), b"".join(bodies))

    def test_one_winner(self) -> None:
        """Of 2 × 20 conditional writes of one key, through both nodes at once, one wins."""
        client(self.nodes[0].endpoint).ask("PUT", "/winner")
        lines = [client(each.endpoint).connect() for each in self.nodes for _ in range(20)]
        for number, line in enumerate(lines):
            asked = client(self.nodes[number // 20].endpoint)
            line.send(asked.message("PUT", "/winner/once", [(b"if-none-match", b"*")], b"%d" % number))
        statuses = []
        for line in lines:
            with line:
                statuses.append(line.reply("PUT").status)
        self.assertEqual(statuses.count(200), 1)
        self.assertEqual(set(statuses) - {200}, {412})

    def test_bucket_against_put(self) -> None:
        """Deleting a bucket at one node while the other writes to it: never a bucket gone with an object in it."""
        one, two = (client(each.endpoint) for each in self.nodes)
        for number in range(15):
            bucket = f"/contested-{number}"
            self.assertEqual(one.ask("PUT", bucket).status, 200)
            with one.connect() as writing, two.connect() as deleting:
                writing.send(one.message("PUT", f"{bucket}/key", body=b"x"))
                deleting.send(two.message("DELETE", bucket))
                wrote, deleted = writing.reply("PUT").status, deleting.reply("DELETE").status
            self.assertIn((wrote, deleted), ((200, 409), (404, 204)))
            self.assertEqual(two.ask("GET", f"{bucket}/key").status, wrote)


class ProxyTests(NodesCase):
    """Behind haproxy."""

    def test_clients_through_the_proxy(self) -> None:
        """Eight clients write and read through the proxy, whichever node they meet; nothing is lost or refused."""
        proxy = shared_proxy()
        self.assertEqual(client(proxy.endpoint).ask("PUT", "/bucket").status, 200)
        with Load([proxy.endpoint]) as load:
            self.assertTrue(load.wait_for(200))
        self.assertEqual((load.lost(), load.refused), ([], []))
        for each in proxy.nodes:
            load.move(each.endpoint)
            self.assertEqual(load.lost(), [])

    def test_aws_through_the_proxy(self) -> None:
        """The aws command copies a file up and down through the proxy."""
        aws = find_client("aws")
        body = Content(2, 20 * MIB).body
        source, target = self.mktemp(), self.mktemp()
        with open(source, "wb") as file:
            file.write(body)
        environ = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "AWS_REGION": "us-east-1"}
        for arguments in (["mb", "s3://aws"], ["cp", source, "s3://aws/k"], ["cp", "s3://aws/k", target]):
            command = [aws, "s3", *arguments, "--endpoint-url", shared_proxy().endpoint]
            subprocess.run(command, check=True, env=environ, stdout=subprocess.DEVNULL)
        with open(target, "rb") as file:
            self.assertEqual(file.read(), body)

    def test_node_stops(self) -> None:
        """A node is stopped behind the proxy: its clients connect again, to the other, and lose nothing."""
        dsn = shared_cluster().create_database()
        self.addCleanup(shared_cluster().drop_database, dsn)
        nodes = [self.start_node(dsn, "--durability=relaxed") for _ in range(2)]
        with Proxy(nodes) as proxy:
            self.assertEqual(client(proxy.endpoint).ask("PUT", "/bucket").status, 200)
            with Load([proxy.endpoint]) as load:
                self.assertTrue(load.wait_for(50))
                self.assertEqual(nodes[1].stop(), 0)
                self.assertTrue(load.wait_for(50))
            self.assertEqual(load.lost(), [])
