"""The rules of a bucket for pages of other origins: kept as one of its documents, and looked up for the protocol.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/ManageCorsUsing.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from attrs import define, field, frozen
from zope.interface import implementer

from post3tw.api import types
from post3tw.model.cors import METHODS, CorsRule
from post3tw.model.errors import BodyTooLarge, InvalidRequest, MalformedXML, NoSuchCorsConfiguration
from post3tw.model.identity import Caller
from post3tw.service.admitted import admitted_bucket
from post3tw.service.bucket_documents import delete_document, put_document, read_document
from post3tw.service.bucket_names import split_name
from post3tw.service.interfaces import ICorsRules
from post3tw.service.operation import operation
from post3tw.service.store import Store
from post3tw.storage.index.transactions.buckets import find_bucket
from post3tw.storage.index.transactions.documents import get_document
from post3tw.storage.interfaces import IIndex, ITransaction

KIND = "cors"
MAX_RULES = 100
MAX_SIZE = 64 * 1024
"""Bytes of the stored document; AWS means those of the XML, which are more."""

REMEMBERED = 256
"""Buckets whose rules are kept in memory."""

_MAX_ID = 255
_header_name = re.compile("[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
_not_in_origin = re.compile("[\x00-\x20\x7f]").search


@frozen
class BucketCors:
    """Reading and changing the rules of a bucket."""

    store: Store

    @operation("s3:GetBucketCORS")
    async def get_bucket_cors(self, caller: Caller, input: types.GetBucketCorsInput) -> types.GetBucketCorsOutput:
        """The rules; NoSuchCorsConfiguration when there are none."""
        body = await read_document(self.store, caller, KIND)
        if body is None:
            raise NoSuchCorsConfiguration(bucket_name=admitted_bucket(caller).name)
        return types.GetBucketCorsOutput(cors_rules=[_shown(rule) for rule in _read(body)])

    @operation("s3:PutBucketCORS", honours=("cors_configuration", "content_md5", "checksum_algorithm"))
    async def put_bucket_cors(self, caller: Caller, input: types.PutBucketCorsInput) -> types.PutBucketCorsOutput:
        """Replace the rules, 100 at most.

        Raises:
            MalformedXML, InvalidRequest, BodyTooLarge.
        """
        body = _written(rules_of_document(input.cors_configuration))
        if len(body) > MAX_SIZE:
            raise BodyTooLarge(max_message_length_bytes=MAX_SIZE)
        await put_document(self.store, caller, KIND, body)
        return types.PutBucketCorsOutput()

    @operation("s3:PutBucketCORS")
    async def delete_bucket_cors(
        self, caller: Caller, input: types.DeleteBucketCorsInput
    ) -> types.DeleteBucketCorsOutput:
        """Remove the rules, also when there are none."""
        await delete_document(self.store, caller, KIND)
        return types.DeleteBucketCorsOutput()


@implementer(ICorsRules)
@define(eq=False)
class CorsLookup:
    """ICorsRules over an index. Rules are read again when the bucket's generation is another one."""

    index: IIndex
    _remembered: dict[int, tuple[int, Sequence[CorsRule]]] = field(factory=dict, init=False)

    async def rules_of(self, tenant: str, bucket: str) -> Sequence[CorsRule] | None:
        """See ICorsRules."""
        in_tenant, name = split_name(tenant, bucket)
        return await self.index.read(lambda tx: self._look_up(tx, in_tenant, name))

    async def _look_up(self, tx: ITransaction, tenant: str, name: str) -> Sequence[CorsRule] | None:
        bucket = await find_bucket(tx, tenant, name)
        if bucket is None:
            return None
        generation, rules = self._remembered.get(bucket.id, (None, ()))
        if generation != bucket.generation:
            body = await get_document(tx, bucket.id, KIND)
            rules = () if body is None else _read(body)
            if len(self._remembered) >= REMEMBERED:
                self._remembered.clear()
            self._remembered[bucket.id] = bucket.generation, rules
        return rules


# -- documents --------------------------------------------------------------------------------------------------------


def rules_of_document(configuration: types.CORSConfiguration | None) -> list[CorsRule]:
    """The rules of a CORSConfiguration document.

    Raises:
        MalformedXML: none at all, or one without origins or methods.
        InvalidRequest: what no rule can have; the message says what.
    """
    if configuration is None or not configuration.cors_rules:
        raise MalformedXML()
    if len(configuration.cors_rules) > MAX_RULES:
        raise InvalidRequest(f"The number of CORS rules should not exceed allowed limit of {MAX_RULES} rules.")
    return [_checked(rule) for rule in configuration.cors_rules]


def _checked(rule: types.CORSRule) -> CorsRule:
    origins, methods = rule.allowed_origins or (), rule.allowed_methods or ()
    if not origins or not methods or (rule.id is not None and len(rule.id) > _MAX_ID):
        raise MalformedXML()
    if rule.max_age_seconds is not None and rule.max_age_seconds < 0:
        raise MalformedXML()
    for method in methods:
        if method not in METHODS:
            raise InvalidRequest(f"Found unsupported HTTP method in CORS config. Unsupported method is {method}")
    for origin in origins:
        _check_wildcard("AllowedOrigin", origin)
        if not origin or _not_in_origin(origin) is not None:
            raise InvalidRequest(f'AllowedOrigin "{origin}" is not an origin.')
    for name in rule.allowed_headers or ():
        _check_wildcard("AllowedHeader", name)
        if _header_name(name) is None:
            raise InvalidRequest(f'AllowedHeader "{name}" is not the name of a header.')
    for name in rule.expose_headers or ():
        if "*" in name:
            raise InvalidRequest(
                f'ExposeHeader "{name}" contains wildcard. We currently do not support wildcard for ExposeHeader.'
            )
        # It goes into answers as it is: with a line break in it, it would be headers of somebody's choice.
        if _header_name(name) is None:
            raise InvalidRequest(f'ExposeHeader "{name}" is not the name of a header.')
    return CorsRule(
        tuple(origins),
        tuple(methods),
        tuple(rule.allowed_headers or ()),
        tuple(rule.expose_headers or ()),
        rule.max_age_seconds,
        rule.id,
    )


def _check_wildcard(element: str, value: str) -> None:
    if value.count("*") > 1:
        raise InvalidRequest(f'{element} "{value}" can not have more than one wildcard.')


def _written(rules: list[CorsRule]) -> bytes:
    members = [[r.origins, r.methods, r.headers, r.expose, r.max_age, r.id] for r in rules]
    return json.dumps(members, separators=(",", ":")).encode()


def _read(body: bytes) -> list[CorsRule]:
    return [
        CorsRule(tuple(origins), tuple(methods), tuple(headers), tuple(expose), max_age, id)
        for origins, methods, headers, expose, max_age, id in json.loads(body)
    ]


def _shown(rule: CorsRule) -> types.CORSRule:
    return types.CORSRule(
        id=rule.id,
        allowed_origins=list(rule.origins),
        allowed_methods=list(rule.methods),
        allowed_headers=list(rule.headers) or None,
        expose_headers=list(rule.expose) or None,
        max_age_seconds=rule.max_age,
    )
