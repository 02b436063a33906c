"""The CORS configuration of buckets."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import ensureDeferred
from twisted.trial.unittest import SynchronousTestCase, TestCase

from post3tw.api import types
from post3tw.api.operations import OPERATIONS
from post3tw.model.cors import CorsRule
from post3tw.model.errors import BodyTooLarge, InvalidRequest, MalformedXML, NoSuchCorsConfiguration
from post3tw.service import cors
from post3tw.service.cors import MAX_RULES, BucketCors, CorsLookup, rules_of_document
from post3tw.storage.index.transactions.buckets import delete_bucket
from tests.service.stores import admitted, make_bucket, make_store

E = TypeVar("E", bound=Exception)


def rule(**members: Any) -> types.CORSRule:
    """A rule that is good but for what the test says."""
    return types.CORSRule(**{"allowed_origins": ["*"], "allowed_methods": ["GET"], **members})


class ConfigurationTests(TestCase):
    """The three operations, and the lookup of the protocol."""

    async def setUp(self) -> None:  # type: ignore[override]
        self.store = await make_store(self)
        self.bucket = await make_bucket(self.store)
        self.cors = BucketCors(self.store)
        self.lookup = CorsLookup(self.store.index)

    async def put(self, *rules: types.CORSRule) -> None:
        """PutBucketCors."""
        configuration = types.CORSConfiguration(cors_rules=list(rules))
        await self.cors.put_bucket_cors(
            admitted("PutBucketCors", self.bucket), types.PutBucketCorsInput(cors_configuration=configuration)
        )

    async def get(self) -> list[types.CORSRule] | None:
        """GetBucketCors."""
        output = await self.cors.get_bucket_cors(admitted("GetBucketCors", self.bucket), types.GetBucketCorsInput())
        return output.cors_rules

    async def delete(self) -> None:
        """DeleteBucketCors."""
        await self.cors.delete_bucket_cors(admitted("DeleteBucketCors", self.bucket), types.DeleteBucketCorsInput())

    async def fails(self, error: type[E], call: Coroutine[Any, Any, Any]) -> E:
        failure: E = await self.assertFailure(ensureDeferred(call), error)
        return failure

    async def test_round_trip(self) -> None:
        """What was put comes back, in its order and its spelling."""
        full = rule(
            id="first",
            allowed_headers=["X-*", "Content-Type"],
            expose_headers=["ETag"],
            max_age_seconds=3000,
            allowed_methods=["PUT", "GET"],
        )
        await self.put(full, rule())
        self.assertEqual(await self.get(), [full, rule()])

    async def test_none(self) -> None:
        """A bucket has none at first, and none again after they were removed, which can be done twice."""
        await self.fails(NoSuchCorsConfiguration, self.get())
        await self.put(rule())
        await self.delete()
        await self.delete()
        await self.fails(NoSuchCorsConfiguration, self.get())

    async def test_too_large(self) -> None:
        """More than 64 KiB are refused, and what was there stays."""
        await self.put(rule(id="small"))
        await self.fails(BodyTooLarge, self.put(rule(allowed_headers=["x" * 1000 + str(n) for n in range(70)])))
        self.assertEqual(await self.get(), [rule(id="small")])

    async def test_lookup(self) -> None:
        """The protocol sees every change at once. A bucket without rules has none; one that is not there is None."""
        self.assertEqual(await self.lookup.rules_of("", "bucket"), ())
        await self.put(rule())
        self.assertEqual(await self.lookup.rules_of("", "bucket"), [CorsRule(("*",), ("GET",))])
        await self.put(rule(allowed_methods=["PUT"]))
        self.assertEqual(await self.lookup.rules_of("", ":bucket"), [CorsRule(("*",), ("PUT",))])
        await self.delete()
        self.assertEqual(await self.lookup.rules_of("", "bucket"), ())
        self.assertIsNone(await self.lookup.rules_of("other", "bucket"))
        await self.store.index.run(lambda tx: delete_bucket(tx, self.bucket.id, 0))
        self.assertIsNone(await self.lookup.rules_of("", "bucket"))

    async def test_few_are_remembered(self) -> None:
        """Memory does not grow with the number of buckets."""
        self.patch(cors, "REMEMBERED", 1)
        await make_bucket(self.store, "other")
        for name in ("bucket", "other", "bucket"):
            self.assertEqual(await self.lookup.rules_of("", name), ())
            self.assertEqual(len(self.lookup._remembered), 1)

    async def test_rules_are_read_once(self) -> None:
        """As long as the bucket does not change."""
        await self.put(rule())
        first = await self.lookup.rules_of("", "bucket")
        self.assertIs(await self.lookup.rules_of("", "bucket"), first)


class ValidationTests(SynchronousTestCase):
    """What no configuration may say."""

    def refused(self, error: type[E], *rules: types.CORSRule) -> E:
        """A configuration is refused."""
        failure: E = self.assertRaises(error, rules_of_document, types.CORSConfiguration(cors_rules=list(rules)))
        return failure

    def test_incomplete(self) -> None:
        """A rule has origins and methods, and there is one at least."""
        self.assertRaises(MalformedXML, rules_of_document, None)
        self.refused(MalformedXML)
        for members in (
            {"allowed_origins": None},
            {"allowed_methods": None},
            {"id": "x" * 256},
            {"max_age_seconds": -1},
        ):
            self.refused(MalformedXML, rule(), rule(**members))

    def test_number_of_rules(self) -> None:
        """A hundred at most."""
        self.assertEqual(len(rules_of_document(types.CORSConfiguration(cors_rules=[rule()] * MAX_RULES))), MAX_RULES)
        self.refused(InvalidRequest, *[rule()] * (MAX_RULES + 1))

    def test_methods(self) -> None:
        """Those of S3, in capitals."""
        for method in ("OPTIONS", "PATCH", "get", "*", ""):
            error = self.refused(InvalidRequest, rule(allowed_methods=["GET", method]))
            self.assertIn(f"Unsupported method is {method}", error.message)

    def test_wildcards(self) -> None:
        """One in an origin or a header, none in what is exposed."""
        rules_of_document(
            types.CORSConfiguration(cors_rules=[rule(allowed_origins=["https://*"], allowed_headers=["x*"])])
        )
        for members in (
            {"allowed_origins": ["https://*.*"]},
            {"allowed_headers": ["*-*"]},
            {"expose_headers": ["x-amz-*"]},
        ):
            self.refused(InvalidRequest, rule(**members))

    def test_par_7_no_line_breaks(self) -> None:
        """PAR-7: what goes into answers is a header's name, and nothing else."""
        for text in ("X-A\r\nSet-Cookie: a=b", "X-A\nX-B", "X-A\0", "X-A: b", "X A", "", "Ä"):
            self.refused(InvalidRequest, rule(expose_headers=[text]))
            self.refused(InvalidRequest, rule(allowed_headers=[text]))
        for text in ("http://a\r\nX: y", "http://a b", ""):
            self.refused(InvalidRequest, rule(allowed_origins=[text]))

    def test_strange_documents(self) -> None:
        """Documents that are none are refused by the parser: other roots, text for a number, none at all."""
        parse = OPERATIONS["PutBucketCors"].parse_payload
        for body in (
            b"<CORSConfiguration/>",
            b"<Other><CORSRule/></Other>",
            b"<CORSConfiguration><CORSRule><MaxAgeSeconds>soon</MaxAgeSeconds></CORSRule></CORSConfiguration>",
            b"<CORSConfiguration><CORSRule>",
        ):
            self.assertRaises(MalformedXML, parse, types.PutBucketCorsInput(), body)
