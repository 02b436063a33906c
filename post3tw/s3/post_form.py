"""Uploads from HTML forms: POST on a bucket with `multipart/form-data`.

Theory of operation. A form is a PutObject in other clothes. Its fields come first and say who signed it, what they
allow, under which key the file goes and with which headers; then the file streams into the same operation as the body
of a PUT, behind the same admission. The request's own headers count for nothing: nobody signed them.

    fields → signature → policy → PutObject's input → admit → the file, bounded by the policy → what the form wants back

Sources: "POST Object" and "Browser-Based Uploads Using POST", Amazon S3 API Reference.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlencode, urlsplit

from attrs import frozen

from post3tw.api.documents_in import read_tagging
from post3tw.api.operation import Reply
from post3tw.api.operations import OPERATIONS
from post3tw.api.runtime import read_root
from post3tw.model.errors import (
    EntityTooLarge,
    FormTooLarge,
    InvalidArgument,
    InvalidRequest,
    NotImplementedHere,
    PreconditionFailed,
)
from post3tw.model.identity import Caller, Identity
from post3tw.s3.addressing import Address
from post3tw.s3.authentication import UNSIGNED, Authenticator
from post3tw.s3.body import require_length
from post3tw.s3.exchange import IExchange, RequestHead
from post3tw.s3.form_body import FormBody
from post3tw.s3.record import RequestRecord
from post3tw.service.interfaces import IAuthorizedS3Service
from post3tw.wire import sigv4
from post3tw.wire.form_signature import FormSignature, parse_form_signature
from post3tw.wire.multipart_form import MAX_FORM, MultipartForm, boundary_of
from post3tw.wire.post_policy import PostPolicy, parse_post_policy
from post3tw.wire.uri import quote, quote_key
from post3tw.wire.xml import escape

NAME = "PostObject"
"""What this is called in logs and metrics; to policies it is a PutObject."""

_PUT = OPERATIONS["PutObject"]
_ENCLOSURE = "Bucket POST must be of the enclosure-type multipart/form-data"
_FILE_NAME = "${filename}"
_NOT_EXPANDED = frozenset({"policy", "signature", "x-amz-signature"})

_HEADER_OF = {"acl": "x-amz-acl", "x-amz-checksum-algorithm": "x-amz-sdk-checksum-algorithm"}
"""Fields that have another name than the header of a PUT that says the same."""

_OF_THE_REQUEST = "content-length"
"""The header of a PUT that is about the request; as a field it says nothing."""

_CONTROL = re.compile("[\x00-\x1f\x7f]")
_C1_CONTROLS = re.compile("[\x80-\x9f]")
_header_name = re.compile("[!#$%&'*+.^_`|~0-9a-z-]+").fullmatch


def is_form(head: RequestHead, address: Address) -> bool:
    """Whether a request can only be a form: a POST on a bucket that asks for no sub-resource."""
    return head.method == "POST" and address.level == 1 and not address.arguments


@frozen
class PostForm:
    """Takes forms.

    Args:
        service: runs PutObject.
        authenticator: knows access keys.
        now: milliseconds since the epoch.
    """

    service: IAuthorizedS3Service
    authenticator: Authenticator
    now: Callable[[], int]

    async def upload(
        self,
        exchange: IExchange,
        address: Address,
        record: RequestRecord,
        caller_of: Callable[[Identity | None], Caller],
    ) -> Reply:
        """Store a form's file; the answer that the form wants.

        Args:
            exchange: the body not yet taken.
            address: of the bucket.
            record: is told who and what.
            caller_of: the call, once it is known whose it is.

        Raises:
            PreconditionFailed, MalformedForm, FormTooLarge, WrongNumberOfFiles, InvalidPolicyDocument, AccessDenied,
            InvalidAccessKeyId, SignatureDoesNotMatch, InvalidArgument, EntityTooLarge, EntityTooSmall, and whatever a
            PutObject raises.
        """
        head = exchange.head
        if head.headers.get("authorization"):
            raise InvalidArgument(
                "Only one auth mechanism allowed; a form is signed by its fields.", argument_name="Authorization"
            )
        boundary = boundary_of(head.headers.get("content-type", ""))
        if boundary is None:
            raise PreconditionFailed(condition=_ENCLOSURE)
        require_length(exchange, UNSIGNED)
        body = FormBody(exchange, MultipartForm(boundary))
        try:
            await body.read_fields()
            return await self._store(head, address, body, record, caller_of)
        finally:
            body.close()

    async def _store(
        self,
        head: RequestHead,
        address: Address,
        body: FormBody,
        record: RequestRecord,
        caller_of: Callable[[Identity | None], Caller],
    ) -> Reply:
        fields = expanded(body.form.fields, body.form.file.name if body.form.file is not None else "")
        signature = parse_form_signature(fields, self.authenticator.region)
        identity, policy = self._signer(signature, fields)
        if identity is not None:
            record.user_id, record.access_key = identity.user_id, identity.access_key
        bucket = address.bucket or ""
        if policy is not None:
            policy.check({**fields, "bucket": bucket}, self.now())
            _bound(body, policy, head.content_length)
        key = record.key = _key(fields, bucket)
        answer = _Answer.wanted(fields)
        input = _PUT.parse_head(bucket, key, {}, put_headers(fields))
        method = self.service.operations().get(_PUT.name)
        if method is None:
            raise NotImplementedHere(operation=NAME)
        caller = caller_of(identity)
        caller.facts = partial(_facts, caller.facts, signature, self.now)
        await self.service.admit(caller, _PUT.name, input)
        output = await method(caller, input, body)
        return answer.reply(output, _location(head, address, key, caller.secure), bucket, key)

    def _signer(
        self, signature: FormSignature | None, fields: Mapping[str, str]
    ) -> tuple[Identity | None, PostPolicy | None]:
        """Who signed the form, and what with; nobody and nothing for a form without a signature."""
        if signature is None:
            return None, None
        identity = self.authenticator.holder(signature.access_key, signature.verify)
        return identity, parse_post_policy(fields["policy"])


def _bound(body: FormBody, policy: PostPolicy, length: int | None) -> None:
    """Bound the file, and refuse at once what is too long with any number of fields."""
    if policy.most is not None and length is not None and length > policy.most + MAX_FORM:
        raise EntityTooLarge(proposed_size=length, max_size_allowed=policy.most)
    body.bound(policy.least, policy.most)


def _facts(
    of_request: Callable[[], Mapping[str, str]], signature: FormSignature | None, now: Callable[[], int]
) -> Mapping[str, str]:
    """What policies may ask of a form's request (see Caller). Its headers say nothing of its signature: anybody may
    have added them."""
    facts = {**of_request(), "s3:x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
    if signature is not None:
        facts["s3:authtype"] = "POST"
        facts["s3:signatureversion"] = sigv4.ALGORITHM if signature.credential is not None else "AWS"
        facts["s3:signatureage"] = "0" if signature.made is None else str(now() - signature.made)
    return facts


# -- fields -----------------------------------------------------------------------------------------------------------


def expanded(fields: Mapping[str, str], file_name: str) -> dict[str, str]:
    """A form's fields with `${filename}` replaced by the last piece of the file's path, whatever separates it.

    Raises:
        FormTooLarge: they are more than a form may have.
    """
    name = re.split(r"[/\\]", file_name)[-1]
    grown = sum(value.count(_FILE_NAME) for value in fields.values()) * (len(name) - len(_FILE_NAME))
    if sum(map(len, fields.values())) + grown > MAX_FORM:
        raise FormTooLarge()
    return {
        field: value.replace(_FILE_NAME, name) if field not in _NOT_EXPANDED else value
        for field, value in fields.items()
    }


def put_headers(fields: Mapping[str, str]) -> dict[str, str]:
    """The headers of a PUT that say what a form's fields say.

    Raises:
        InvalidArgument: a value that no header can have, or one that comes under two names.
        InvalidRequest: a checksum that we do not know.
        MalformedXML: in `tagging`.
    """
    headers: dict[str, str] = {}
    for field, value in fields.items():
        name = _HEADER_OF.get(field, field)
        if field == "tagging":
            tags = read_tagging(read_root(value.encode(), "Tagging")).tag_set or ()
            name, value = "x-amz-tagging", urlencode([(tag.key or "", tag.value or "") for tag in tags])
        if name == _OF_THE_REQUEST or not _PUT.takes_header(name):
            if name.startswith("x-amz-checksum-"):
                raise InvalidRequest(f"The checksum {name} is not supported.", header=name)
            continue
        if name in headers or _header_name(name) is None or _CONTROL.search(value) is not None:
            raise InvalidArgument(
                "A field that becomes a header must come once and have no control characters.",
                argument_name=field,
                argument_value=value,
            )
        headers[name] = value
    return headers


def _key(fields: Mapping[str, str], bucket: str) -> str:
    if fields.get("bucket", bucket) != bucket:
        raise InvalidArgument(
            "The bucket field does not match the bucket that the form was sent to.",
            argument_name="bucket",
            argument_value=fields["bucket"],
        )
    key = fields.get("key")
    if key is None:
        raise InvalidArgument(
            "Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the fields.",
            argument_name="key",
            argument_value="",
        )
    if not key:
        raise InvalidArgument("User key must have a length greater than 0.", argument_name="key", argument_value="")
    if _C1_CONTROLS.search(key) is not None:  # as in a path
        raise InvalidArgument("The key has control characters.", argument_name="key", argument_value=key)
    return key


# -- answers ----------------------------------------------------------------------------------------------------------


@frozen
class _Answer:
    """What a form wants to get back: a status, or to be sent on to another page."""

    status: int
    redirect: str | None

    @classmethod
    def wanted(cls, fields: Mapping[str, str]) -> _Answer:
        """What the fields say. A status that is none of three is 204, a URL that is none counts as not given.

        Raises:
            InvalidArgument: a URL with control characters.
        """
        url = fields.get("success_action_redirect") or fields.get("redirect") or ""
        if _CONTROL.search(url) is not None:
            raise InvalidArgument(
                "A URL has no control characters.", argument_name="success_action_redirect", argument_value=url
            )
        status = {"200": 200, "201": 201}.get(fields.get("success_action_status", ""), 204)
        return cls(status, url if _is_web(url) else None)

    def reply(self, output: Any, location: str, bucket: str, key: str) -> Reply:
        """The answer to a form whose file is stored."""
        _, headers, _ = _PUT.serialise(output)
        etag = output.etag or ""
        if self.redirect is not None:
            return 303, [*headers, ("Location", _redirected(self.redirect, bucket, key, etag))], b""
        headers = [*headers, ("Location", location)]
        if self.status != 201:
            return self.status, headers, b""
        values = {"Location": location, "Bucket": bucket, "Key": key, "ETag": etag}
        elements = "".join([f"<{name}>{escape(value)}</{name}>" for name, value in values.items()])
        document = f'<?xml version="1.0" encoding="UTF-8"?>\n<PostResponse>{elements}</PostResponse>'
        return 201, [*headers, ("Content-Type", "application/xml")], document.encode()


def _is_web(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def _redirected(url: str, bucket: str, key: str, etag: str) -> str:
    """A form's URL, to which is added what was stored."""
    page, sharp, fragment = quote(url, safe="!\"#$%&'()*+,/:;<=>?@[]^`{|}\\").partition("#")
    added = f"bucket={quote(bucket)}&key={quote(key)}&etag={quote(etag)}"
    return f"{page}{'&' if '?' in page else '?'}{added}{sharp}{fragment}"


def _location(head: RequestHead, address: Address, key: str, secure: bool) -> str:
    """The URL of the object, on the host that the form was sent to."""
    host = head.headers.get("host", "")
    path = f"/{quote_key(key)}" if address.hosted else f"/{quote(address.bucket or '')}/{quote_key(key)}"
    return f"{'https' if secure else 'http'}://{host}{path}" if host else path
