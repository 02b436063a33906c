"""Signing requests as a client does: with an Authorization header, or in the query (presigned)."""

from __future__ import annotations

from attrs import field, frozen

from post3tw.wire.canonical import Headers, canonical_query, canonical_request
from post3tw.wire.dates import amz_date
from post3tw.wire.sigv4 import ALGORITHM, UNSIGNED_PAYLOAD, Credential, signature, signing_key, string_to_sign
from post3tw.wire.uri import quote, split_target


@frozen
class Signer:
    """A client's key and the scope it signs for."""

    access_key: str
    secret_key: str = field(repr=False)
    region: str = "us-east-1"
    service: str = "s3"

    def sign_request(
        self, method: bytes, target: bytes, headers: Headers, *, time: int, payload_hash: bytes = UNSIGNED_PAYLOAD
    ) -> list[tuple[bytes, bytes]]:
        """Sign a request, every header of it.

        Args:
            method: in upper case.
            target: as it will be sent.
            headers: names in lower case, `host` among them.
            time: now, in ms.
            payload_hash: for x-amz-content-sha256.

        Returns:
            `headers` with x-amz-date, x-amz-content-sha256 and authorization added.
        """
        timestamp = amz_date(time)
        sent = [*headers, (b"x-amz-date", timestamp.encode()), (b"x-amz-content-sha256", payload_hash)]
        names = sorted({name for name, _ in sent})
        path, query = split_target(target)
        request = canonical_request(method, path, canonical_query(query), sent, names, payload_hash)
        credential = self.credential(timestamp)
        value = (
            f"{ALGORITHM} Credential={self.access_key}/{credential.scope}, "
            f"SignedHeaders={b';'.join(names).decode()}, Signature={self._signature(credential, timestamp, request)}"
        )
        return [*sent, (b"authorization", value.encode())]

    def presign(
        self,
        method: bytes,
        target: bytes,
        headers: Headers,
        *,
        time: int,
        expires: int,
        payload_hash: bytes = UNSIGNED_PAYLOAD,
    ) -> bytes:
        """The target, signed, that anybody may send with these headers until `expires` seconds after `time` (ms)."""
        timestamp = amz_date(time)
        credential = self.credential(timestamp)
        names = sorted({name for name, _ in headers})
        parameters = {
            "X-Amz-Algorithm": ALGORITHM,
            "X-Amz-Credential": f"{self.access_key}/{credential.scope}",
            "X-Amz-Date": timestamp,
            "X-Amz-Expires": str(expires),
            "X-Amz-SignedHeaders": b";".join(names).decode(),
        }
        path, query = split_target(target)
        added = "&".join(f"{name}={quote(value)}" for name, value in parameters.items()).encode()
        query = b"&".join(filter(None, (query, added)))
        request = canonical_request(method, path, canonical_query(query), headers, names, payload_hash)
        return b"%b?%b&X-Amz-Signature=%b" % (
            path,
            query,
            self._signature(credential, timestamp, request).encode(),
        )

    def credential(self, timestamp: str) -> Credential:
        """The credential of a request signed at `timestamp` (as in X-Amz-Date)."""
        return Credential(self.access_key, timestamp[:8], self.region, self.service)

    def _signature(self, credential: Credential, timestamp: str, request: bytes) -> str:
        text = string_to_sign(timestamp, credential.scope, request)
        return signature(signing_key(self.secret_key, credential), text).decode()
