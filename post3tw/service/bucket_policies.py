"""The policy of a bucket: kept as it was put, understood when it is put and when it is used.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html
"""

from __future__ import annotations

from attrs import frozen

from post3tw.api import types
from post3tw.model.errors import AccessDenied, MalformedPolicy, NoSuchBucketPolicy
from post3tw.model.identity import Caller
from post3tw.service.admitted import admitted_access, admitted_bucket
from post3tw.service.bucket_rules import POLICY_KIND
from post3tw.service.operation import operation
from post3tw.service.policy.language import parse_policy
from post3tw.service.policy.public import is_public
from post3tw.service.store import Store
from post3tw.storage.index.transactions import documents
from post3tw.storage.interfaces import Lock


@frozen
class BucketPolicies:
    """Reading and replacing the policy of a bucket."""

    store: Store

    @operation("s3:GetBucketPolicy")
    async def get_bucket_policy(self, caller: Caller, input: types.GetBucketPolicyInput) -> types.GetBucketPolicyOutput:
        """The policy as it was put; NoSuchBucketPolicy when there is none."""
        bucket = admitted_bucket(caller)
        document = await self.store.index.read(lambda tx: documents.get_document(tx, bucket.id, POLICY_KIND))
        if document is None:
            raise NoSuchBucketPolicy(bucket_name=bucket.name)
        return types.GetBucketPolicyOutput(policy=document.body.decode())

    @operation(
        "s3:PutBucketPolicy",
        honours=("policy", "confirm_remove_self_bucket_access", "content_md5", "checksum_algorithm"),
    )
    async def put_bucket_policy(self, caller: Caller, input: types.PutBucketPolicyInput) -> types.PutBucketPolicyOutput:
        """Replace the policy. No policy can keep the bucket's owner from replacing it, so there is nothing to confirm.

        Raises:
            MalformedPolicy: it is none, or about another bucket.
            AccessDenied: it is public, and BlockPublicPolicy is set.
        """
        if not input.policy:
            raise MalformedPolicy()
        bucket = admitted_bucket(caller)
        policy = parse_policy(input.policy, bucket=bucket.name)
        if admitted_access(caller).public_access.block_public_policy and is_public(policy):
            raise AccessDenied()
        body = input.policy.encode()
        self.store.admit_write()
        await self.store.change(
            caller,
            lambda tx: documents.put_document(tx, bucket.id, POLICY_KIND, body),
            [Lock(bucket.id, exclusive=True)],
        )
        return types.PutBucketPolicyOutput()

    @operation("s3:DeleteBucketPolicy")
    async def delete_bucket_policy(
        self, caller: Caller, input: types.DeleteBucketPolicyInput
    ) -> types.DeleteBucketPolicyOutput:
        """Remove the policy, also when there is none."""
        bucket = admitted_bucket(caller)
        await self.store.change(
            caller,
            lambda tx: documents.delete_document(tx, bucket.id, POLICY_KIND),
            [Lock(bucket.id, exclusive=True)],
        )
        return types.DeleteBucketPolicyOutput()

    @operation("s3:GetBucketPolicyStatus")
    async def get_bucket_policy_status(
        self, caller: Caller, input: types.GetBucketPolicyStatusInput
    ) -> types.GetBucketPolicyStatusOutput:
        """Whether the bucket is public: by its policy, or by its list as far as lists count."""
        access = admitted_access(caller)
        by_policy = access.policy is not None and is_public(access.policy)
        lists_count = not access.acls_disabled and not access.public_access.ignore_public_acls
        by_list = lists_count and access.acl is not None and access.acl.public
        return types.GetBucketPolicyStatusOutput(policy_status=types.PolicyStatus(is_public=by_policy or by_list))
