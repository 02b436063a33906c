"""Two nodes behind a proxy are one server to every client."""

from __future__ import annotations

import subprocess
from itertools import cycle
from typing import Any

import boto3
from botocore.config import Config

from post3tw.testing.postgresql import shared_cluster
from tests.clients.case import find_client
from tests.hostile.ledger import MIB, Content
from tests.postgresql.case import ACCESS_KEY, SECRET_KEY, Load, NodesCase, client
from tests.postgresql.haproxy import Proxy


class TwoNodesTests(NodesCase):
    """One database of the shared cluster, two nodes, haproxy."""

    def setUp(self) -> None:
        """Start everything."""
        cluster = shared_cluster()
        self.dsn = cluster.create_database()
        self.addCleanup(cluster.drop_database, self.dsn)
        self.nodes = [self.start_node(self.dsn, "--durability=relaxed") for _ in range(2)]
        self.proxy = Proxy(self.nodes)
        self.proxy.__enter__()
        self.addCleanup(self.proxy.__exit__, None, None, None)

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
        one, two = (self.s3(node.endpoint) for node in self.nodes)
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
        self.assertEqual(one.list_buckets()["Buckets"], [])

    def test_parts_through_both(self) -> None:
        """Parts may be sent to different nodes, and the upload completed at either."""
        both = cycle([self.s3(node.endpoint) for node in self.nodes])
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
        client(self.nodes[0].endpoint).ask("PUT", "/bucket")
        lines = [client(node.endpoint).connect() for node in self.nodes for _ in range(20)]
        for number, line in enumerate(lines):
            asked = client(self.nodes[number // 20].endpoint)
            line.send(asked.message("PUT", "/bucket/once", [(b"if-none-match", b"*")], b"%d" % number))
        statuses = []
        for line in lines:
            with line:
                statuses.append(line.reply("PUT").status)
        self.assertEqual(statuses.count(200), 1)
        self.assertEqual(set(statuses) - {200}, {412})

    def test_bucket_against_put(self) -> None:
        """Deleting a bucket at one node while the other writes to it: never a bucket gone with an object in it."""
        one, two = (client(node.endpoint) for node in self.nodes)
        for number in range(15):
            bucket = f"/contested-{number}"
            self.assertEqual(one.ask("PUT", bucket).status, 200)
            with one.connect() as writing, two.connect() as deleting:
                writing.send(one.message("PUT", f"{bucket}/key", body=b"x"))
                deleting.send(two.message("DELETE", bucket))
                wrote, deleted = writing.reply("PUT").status, deleting.reply("DELETE").status
            self.assertIn((wrote, deleted), ((200, 409), (404, 204)))
            self.assertEqual(two.ask("GET", f"{bucket}/key").status, wrote)

    def test_clients_through_the_proxy(self) -> None:
        """Eight clients write and read through the proxy, whichever node they meet; nothing is lost or refused."""
        self.assertEqual(client(self.proxy.endpoint).ask("PUT", "/bucket").status, 200)
        with Load([self.proxy.endpoint]) as load:
            self.assertTrue(load.wait_for(400))
        self.assertEqual((load.lost(), load.refused), ([], []))
        for node in self.nodes:
            load.move(node.endpoint)
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
            command = [aws, "s3", *arguments, "--endpoint-url", self.proxy.endpoint]
            subprocess.run(command, check=True, env=environ, stdout=subprocess.DEVNULL)
        with open(target, "rb") as file:
            self.assertEqual(file.read(), body)

    def test_restart_one_after_the_other(self) -> None:
        """Nodes that are restarted in turn behind the proxy: clients connect again and lose nothing."""
        self.assertEqual(client(self.proxy.endpoint).ask("PUT", "/bucket").status, 200)
        with Load([self.proxy.endpoint]) as load:
            self.assertTrue(load.wait_for(50))
            self.assertEqual(self.nodes[1].stop(), 0)
            self.assertTrue(load.wait_for(50))
        self.assertEqual(load.lost(), [])
