"""Who pays for requests to a bucket. Nobody pays here, but the setting decides who is let in, as on AWS: where the
requester pays, others than the owner must say that they know (x-amz-request-payer), and anonymous callers cannot.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/RequesterPaysBuckets.html
"""

from __future__ import annotations

from attrs import frozen

from post3tw.api import types
from post3tw.model.errors import MalformedXML
from post3tw.model.identity import Caller
from post3tw.service.bucket_documents import put_document, read_document
from post3tw.service.operation import operation
from post3tw.service.store import Store

PAYMENT_KIND = "request_payment"
"""The kind of document that holds the setting; without one the bucket's owner pays."""

REQUESTER, BUCKET_OWNER = "Requester", "BucketOwner"


@frozen
class RequestPayment:
    """Reading and changing who pays."""

    store: Store

    @operation("s3:GetBucketRequestPayment")
    async def get_bucket_request_payment(
        self, caller: Caller, input: types.GetBucketRequestPaymentInput
    ) -> types.GetBucketRequestPaymentOutput:
        """Who pays: BucketOwner or Requester."""
        body = await read_document(self.store, caller, PAYMENT_KIND)
        return types.GetBucketRequestPaymentOutput(payer=BUCKET_OWNER if body is None else body.decode())

    @operation(
        "s3:PutBucketRequestPayment",
        honours=("request_payment_configuration", "content_md5", "checksum_algorithm"),
    )
    async def put_bucket_request_payment(
        self, caller: Caller, input: types.PutBucketRequestPaymentInput
    ) -> types.PutBucketRequestPaymentOutput:
        """Set who pays.

        Raises:
            MalformedXML: neither BucketOwner nor Requester.
        """
        configuration = input.request_payment_configuration
        if configuration is None or configuration.payer not in (BUCKET_OWNER, REQUESTER):
            raise MalformedXML()
        await put_document(self.store, caller, PAYMENT_KIND, configuration.payer.encode())
        return types.PutBucketRequestPaymentOutput()
