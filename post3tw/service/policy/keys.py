"""The condition keys that a policy may use.

A key that nothing in the world sets is a mistake of the policy's author that AWS refuses, and so do we: a misspelt key
in a Deny would deny nothing. Keys that exist on AWS but that no request to us can have (those of VPC endpoints, access
points, organisations) may be used and have no value. Names do not depend on case; the tag's key after a `/` does.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/amazon-s3-policy-keys.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
"""

from __future__ import annotations

from typing import Final

EXISTING_TAG: Final = "s3:existingobjecttag/"
"""Tags that the object has: the one thing that only the object itself can tell."""
REQUEST_TAG: Final = "s3:requestobjecttag/"
"""Tags that the request would give it."""

ANONYMOUS: Final = "anonymous"
"""The value of aws:userid for every caller who is nobody."""

_S3: Final = """
    AccessGrantsInstanceArn AccessPointNetworkOrigin authType DataAccessPointAccount DataAccessPointArn delimiter
    destinationRegion ExistingJobOperation ExistingJobPriority if-match if-none-match
    InventoryAccessibleOptionalFields isReplicationPauseRequest JobSuspendedCause LocationConstraint max-keys
    object-lock-legal-hold object-lock-mode object-lock-remaining-retention-days object-lock-retain-until-date
    ObjectCreationOperation prefix RequestJobOperation RequestJobPriority RequestObjectTagKeys ResourceAccount
    signatureAge signatureversion TlsVersion VersionId x-amz-acl x-amz-bucket-namespace x-amz-content-sha256
    x-amz-copy-source x-amz-grant-full-control x-amz-grant-read x-amz-grant-read-acp x-amz-grant-write
    x-amz-grant-write-acp x-amz-metadata-directive x-amz-object-ownership x-amz-server-side-encryption
    x-amz-server-side-encryption-aws-kms-key-id x-amz-server-side-encryption-customer-algorithm x-amz-storage-class
    x-amz-website-redirect-location
"""
_GLOBAL: Final = """
    AssumedRoot CalledVia CalledViaFirst CalledViaLast ChatbotSourceArn CurrentTime Ec2InstanceSourcePrivateIPv4
    Ec2InstanceSourceVpc EpochTime FederatedProvider MultiFactorAuthAge MultiFactorAuthPresent PrincipalAccount
    PrincipalArn PrincipalIsAWSService PrincipalOrgID PrincipalOrgPaths PrincipalServiceName
    PrincipalServiceNamesList PrincipalType Referer RequestedRegion ResourceAccount ResourceOrgID ResourceOrgPaths
    SecureTransport SourceAccount SourceArn SourceIdentity SourceIp SourceOrgID SourceOrgPaths SourceOwner SourceVpc
    SourceVpcArn SourceVpce TagKeys TokenIssueTime UserAgent userid username ViaAWSService VpceAccount VpceOrgID
    VpceOrgPaths VpcSourceIp
"""
_NAMES: Final = frozenset(
    [f"s3:{name.lower()}" for name in _S3.split()] + [f"aws:{name.lower()}" for name in _GLOBAL.split()]
)
_FAMILIES: Final = (
    EXISTING_TAG, REQUEST_TAG, "s3:buckettag/", "s3:accesspointtag/", "aws:principaltag/", "aws:requesttag/",
    "aws:resourcetag/",
)  # fmt: skip


def canonical_key(name: str) -> str | None:
    """A condition key as it is looked up: in lower case but for a tag's key. None when there is no such key."""
    family, slash, tag = name.partition("/")
    lower = family.lower() + slash
    if not slash:
        return lower if lower in _NAMES else None
    return lower + tag if lower in _FAMILIES and tag else None
