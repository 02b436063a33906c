"""The modules whose tests are put to the test: signing, chunking and authorisation."""

from __future__ import annotations

from tests.mutation.judging import Suspect

_POLICY = (
    "tests.service.policy.test_language",
    "tests.service.policy.test_conditions",
    "tests.service.policy.test_variables",
    "tests.service.policy.test_wildcards",
    "tests.service.policy.test_actions",
    "tests.service.policy.test_public",
    "tests.service.policy.test_decision",
    "tests.service.policy.test_decision_sources",
    "tests.service.policy.test_reference",
    "tests.service.policy.test_properties",
    "tests.service.policy.test_hostile_policies",
)

_ACCESS = (
    "tests.service.test_authorization",
    "tests.service.test_bucket_access",
    "tests.service.test_judge",
    "tests.service.test_acls",
    "tests.service.test_object_lock",
)

SUSPECTS = {
    suspect.module.removeprefix("post3tw."): suspect
    for suspect in (
        Suspect(
            "post3tw.wire.sigv4",
            (
                "tests.wire.test_sigv4",
                "tests.wire.test_sigv4_reading",
                "tests.wire.test_signer",
                "tests.wire.test_aws_chunked",
                "tests.wire.test_form_signature",
                "tests.s3.test_authentication",
                "tests.s3.test_presigned",
            ),
        ),
        Suspect("post3tw.wire.hmac_keys", ("tests.wire.test_sigv4", "tests.wire.test_signer")),
        Suspect(
            "post3tw.wire.canonical", ("tests.wire.test_canonical", "tests.wire.test_sigv4", "tests.wire.test_signer")
        ),
        Suspect(
            "post3tw.wire.sigv2",
            (
                "tests.wire.test_sigv2",
                "tests.wire.test_form_signature",
                "tests.s3.test_signed_v2",
                "tests.s3.test_presigned_v2",
            ),
        ),
        Suspect("post3tw.wire.aws_chunked", ("tests.wire.test_aws_chunked",)),
        Suspect("post3tw.wire.form_signature", ("tests.wire.test_form_signature",)),
        Suspect("post3tw.wire.post_policy", ("tests.wire.test_post_policy",)),
        Suspect(
            "post3tw.s3.authentication",
            (
                "tests.s3.test_authenticator",
                "tests.s3.test_authentication",
                "tests.s3.test_presigned",
                "tests.s3.test_presigned_v2",
                "tests.s3.test_signed_v2",
                "tests.s3.test_refused_forms",
            ),
        ),
        Suspect("post3tw.service.policy.decision", _POLICY),
        Suspect("post3tw.service.policy.statement", _POLICY),
        Suspect("post3tw.service.policy.conditions", _POLICY),
        Suspect("post3tw.service.policy.operators", _POLICY),
        Suspect("post3tw.service.policy.variables", _POLICY),
        Suspect("post3tw.service.policy.wildcards", _POLICY),
        Suspect("post3tw.service.policy.language", _POLICY),
        Suspect("post3tw.service.policy.principals", _POLICY),
        Suspect("post3tw.service.policy.public", _POLICY),
        Suspect("post3tw.service.policy.actions", _POLICY),
        Suspect("post3tw.service.policy.keys", _POLICY),
        Suspect(
            "post3tw.service.authorization",
            (*_ACCESS, "tests.service.test_buckets", "tests.service.test_honoured", "tests.service.test_store"),
        ),
        Suspect("post3tw.service.judge", _ACCESS),
        Suspect("post3tw.service.demands", ("tests.service.test_demands", *_ACCESS)),
    )
}
