"""The policy of a bucket: kept as it was put, understood when it is put and when it is used.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html
"""

from __future__ import annotations

from attrs import frozen

from post3tw.api import types
from post3tw.model.errors import AccessDenied, MalformedPolicy, NoSuchBucketPolicy
from post3tw.model.identity import Caller
from post3tw.service.admitted import admitted_access, admitted_bucket
from post3tw.service.bucket_documents import delete_document, put_document, read_document
from post3tw.service.operation import operation
from post3tw.service.policy.language import parse_policy
from post3tw.service.policy.public import is_public
from post3tw.service.store import Store

POLICY_KIND = "policy"
"""The kind of document that holds a bucket policy, as it was put."""


@frozen
class BucketPolicies:
    """Reading and replacing the policy of a bucket."""

    store: Store

    @operation("s3:GetBucketPolicy")
    async def get_bucket_policy(self, caller: Caller, input: types.GetBucketPolicyInput) -> types.GetBucketPolicyOutput:
        """The policy as it was put; NoSuchBucketPolicy when there is none."""
        body = await read_document(self.store, caller, POLICY_KIND)
        if body is None:
            raise NoSuchBucketPolicy(bucket_name=admitted_bucket(caller).name)
        return types.GetBucketPolicyOutput(policy=body.decode())

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
        policy = parse_policy(input.policy, bucket=admitted_bucket(caller).name)
        if admitted_access(caller).public_access.block_public_policy and is_public(policy):
            raise AccessDenied()
        await put_document(self.store, caller, POLICY_KIND, input.policy.encode())
        return types.PutBucketPolicyOutput()

    @operation("s3:DeleteBucketPolicy")
    async def delete_bucket_policy(
        self, caller: Caller, input: types.DeleteBucketPolicyInput
    ) -> types.DeleteBucketPolicyOutput:
        """Remove the policy, also when there is none."""
        await delete_document(self.store, caller, POLICY_KIND)
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
