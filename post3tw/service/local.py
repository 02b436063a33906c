"""The local store: every operation of S3 that post3tw has, over an index and a blob store."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen
from zope.interface import implementer

from post3tw.service.acls import Acls
from post3tw.service.attributes import ObjectAttributes
from post3tw.service.authorization import AuthorizedService
from post3tw.service.bucket_policies import BucketPolicies
from post3tw.service.bucket_tagging import BucketTagging
from post3tw.service.buckets import Buckets
from post3tw.service.copying import Copying
from post3tw.service.cors import BucketCors
from post3tw.service.interfaces import IS3Service, Method
from post3tw.service.listing import Listing
from post3tw.service.multipart import Multipart
from post3tw.service.object_lock import BucketLock, ObjectLock
from post3tw.service.object_tagging import ObjectTagging
from post3tw.service.objects import Objects
from post3tw.service.operation import operations_of
from post3tw.service.ownership_controls import OwnershipControls
from post3tw.service.part_copy import PartCopying
from post3tw.service.public_access import PublicAccess
from post3tw.service.request_payment import RequestPayment
from post3tw.service.store import Store
from post3tw.service.unconfigured import Unconfigured, UnconfiguredById
from post3tw.service.upload_listing import UploadListing
from post3tw.service.version_listing import VersionListing
from post3tw.service.versioning import BucketVersioning

NOUNS = (
    Buckets,
    BucketTagging,
    BucketCors,
    BucketVersioning,
    BucketLock,
    Acls,
    BucketPolicies,
    OwnershipControls,
    PublicAccess,
    RequestPayment,
    Objects,
    ObjectAttributes,
    ObjectTagging,
    ObjectLock,
    Copying,
    Listing,
    VersionListing,
    Multipart,
    PartCopying,
    UploadListing,
    Unconfigured,
    UnconfiguredById,
)
"""The classes whose methods are operations; a new noun is a line here."""


@implementer(IS3Service)
@frozen
class LocalService:
    """IS3Service over a Store."""

    by_name: Mapping[str, Method]

    def operations(self) -> Mapping[str, Method]:
        """See IS3Service."""
        return self.by_name


def local_service(store: Store) -> AuthorizedService:
    """The operations of a store, behind their authorization."""
    return AuthorizedService(LocalService(operations_of(*(noun(store) for noun in NOUNS))), store)
