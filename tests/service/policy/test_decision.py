"""Decisions by who asks and by the bucket's policy: who may do what, step by step."""

from __future__ import annotations

from itertools import permutations

from attrs import evolve

from post3tw.model.acl import ALL_USERS
from post3tw.model.identity import Identity
from post3tw.service.policy.access import (
    ABSENT,
    ObjectAccess,
    ObjectOwnership,
    PublicAccessBlock,
)
from post3tw.service.policy.actions import ACTIONS, BUCKET_ACTIONS, OBJECT_PERMISSIONS
from post3tw.service.policy.decision import (
    POLICY_ACTIONS,
    Reason,
    decide,
)
from tests.service.policy.decision_case import (
    ADAS,
    ARN,
    EVERYTHING,
    GET_DENIED,
    OWNERS,
    PLAIN,
    UNIFORM,
    DecisionCase,
    bucket_with,
    granting,
)
from tests.service.policy.documents import (
    ADA,
    ANYBODY,
    BOB,
    BUCKET,
    OWNER,
    ROOT,
    attached_policy,
    bucket_policy,
    request,
    statement,
)


class NatureTests(DecisionCase):
    """Without any configuration: owners and administrators, and nobody else."""

    def test_every_action(self) -> None:
        """The bucket's owner and administrators may do everything in a private bucket, others nothing."""
        for action in sorted(ACTIONS):
            self.assertIs(self.assert_may(request(ROOT, action), UNIFORM).reason, Reason.ADMINISTRATOR)
            self.assertIs(self.assert_may(request(OWNER, action), UNIFORM).reason, Reason.BUCKET_OWNER)
            for other in (ADA, BOB, ANYBODY):
                self.assert_may_not(request(other, action), UNIFORM, OWNERS)

    def test_object_of_another(self) -> None:
        """What belongs to an object's owner is not the bucket owner's on an object that somebody else wrote."""
        for action in OBJECT_PERMISSIONS:
            for identity in (OWNER, ADA, ANYBODY):
                self.assert_undecided(request(identity, action), PLAIN)
            self.assert_may_not(request(OWNER, action), PLAIN, ADAS)
            self.assertIs(self.assert_may(request(ADA, action), PLAIN, ADAS).reason, Reason.OBJECT_OWNER)
            for object in (OWNERS, ABSENT):
                self.assert_may(request(OWNER, action), PLAIN, object)
            self.assert_may(request(ROOT, action), PLAIN)
        for action in ("s3:DeleteObject", "s3:PutObject", "s3:GetObjectTagging", "s3:ListBucket"):
            self.assert_may(request(OWNER, action), PLAIN)

    def test_ownership_enforced(self) -> None:
        """Where the bucket's owner owns every object, whoever wrote one may do nothing with it."""
        bucket = evolve(PLAIN, ownership=ObjectOwnership.BUCKET_OWNER_ENFORCED)
        self.assert_may(request(OWNER), bucket)
        self.assert_may_not(request(ADA), bucket, ADAS)

    def test_missing_object(self) -> None:
        """A stranger who asks for what is not there is denied, for that reason."""
        self.assert_may_not(request(ADA), PLAIN, ABSENT, Reason.NO_OBJECT)

    def test_without_bucket(self) -> None:
        """Whoever is somebody may list the own buckets and create one."""
        for action in ("s3:ListAllMyBuckets", "s3:CreateBucket"):
            self.assertIs(self.assert_may(request(ADA, action, None), None).reason, Reason.SIGNED)
            self.assert_may_not(request(ANYBODY, action, None), None)
            denying = attached_policy(statement("Deny", Action="s3:*", Resource="*"))
            for resource in ("*", ARN):
                asked = evolve(request(ADA, action, attached=(denying,)), resource=resource)
                self.assert_may_not(asked, None, reason=Reason.STATEMENT)

    def test_other_actions_without_bucket(self) -> None:
        """What not everybody may do, a policy of one's own allows."""
        self.assert_may_not(request(ADA, "s3:ListJobs"), None)
        allowing = attached_policy(statement(Action="s3:ListJobs", Resource="*"))
        self.assert_may(request(ADA, "s3:ListJobs", attached=(allowing,)), None)
        self.assert_may_not(request(ADA, "s3:CreateJob", attached=(allowing,)), None)

    def test_own_upload(self) -> None:
        """Who began an upload may see and abort it, and others may not."""
        for action in ("s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"):
            for bucket in (PLAIN, UNIFORM):
                self.assert_undecided(request(ADA, action), bucket)
                self.assert_may(request(ADA, action), bucket, ADAS)
                self.assert_may_not(request(ADA, action), bucket, OWNERS)
                self.assert_may_not(request(ANYBODY, action), bucket, ADAS)


class PolicyTests(DecisionCase):
    """What the bucket's policy adds and takes away."""

    def test_statement(self) -> None:
        """The decision names the statement that made it, and the policy."""
        bucket = bucket_with(statement(Action="s3:PutObject"), statement(Sid="Readers"))
        decision = self.assert_may(request(ANYBODY), bucket)
        self.assertIs(decision.policy, bucket.policy)
        self.assertEqual(str(decision.statement), "statement 2 (Readers)")
        decision = self.assert_may_not(request(OWNER), bucket_with(statement(), GET_DENIED), reason=Reason.STATEMENT)
        self.assertEqual(str(decision.statement), "statement 2")

    def test_explicit_deny_wins(self) -> None:
        """Whoever asks and whatever allows, in whichever order: what is denied is denied."""
        acl = granting(OWNER, "FULL_CONTROL", ALL_USERS)
        for policy in ((GET_DENIED, statement()), (statement(), GET_DENIED)):
            bucket = bucket_with(*policy, acl=acl, uniform=False)
            for identity in (OWNER, ROOT, ADA, BOB, ANYBODY):
                attached = () if identity is None else (attached_policy(statement()),)
                self.assert_may_not(
                    request(identity, attached=attached), bucket, ObjectAccess("ada", acl), Reason.STATEMENT
                )

    def test_what_may_deny(self) -> None:
        """A bucket denies when a statement does, or when something cannot be read; then nobody is let in unasked."""
        for bucket, denies in (
            (UNIFORM, False),
            (bucket_with(statement()), False),
            (bucket_with(statement(), GET_DENIED), True),
            (evolve(UNIFORM, unreadable=frozenset({"policy"})), True),
            (bucket_with(statement(), unreadable=frozenset({"acl"})), True),
        ):
            self.assertIs(bucket.denies, denies)

    def test_own_policy(self) -> None:
        """No bucket policy locks the owner and administrators out of the policy itself; all others it does."""
        bucket = bucket_with(statement("Deny", **EVERYTHING), statement(**EVERYTHING))
        for action in POLICY_ACTIONS:
            for identity in (OWNER, ROOT):
                self.assert_may(request(identity, action, None), bucket)
            self.assert_may_not(request(ADA, action, None), bucket, reason=Reason.STATEMENT)
        for action in BUCKET_ACTIONS - POLICY_ACTIONS:
            self.assert_may_not(request(OWNER, action, None), bucket, reason=Reason.STATEMENT)

    def test_principals(self) -> None:
        """Principals are users, tenants or everybody; NotPrincipal is everybody else, anonymous callers included."""
        table: tuple[tuple[object, tuple[Identity | None, ...]], ...] = (
            ("*", (ADA, BOB, ANYBODY)),
            ({"AWS": "*"}, (ADA, BOB, ANYBODY)),
            ({"AWS": "arn:aws:iam:::user/ada"}, (ADA,)),
            ({"AWS": "arn:aws:iam::research:user/bob"}, (BOB,)),
            ({"AWS": "arn:aws:iam::research:user/ada"}, ()),
            ({"AWS": "arn:aws:iam::research:root"}, (BOB,)),
            ({"AWS": ["research", "arn:aws:iam:::user/ada"]}, (ADA, BOB)),
            ({"AWS": "arn:aws:iam:::root"}, (ADA,)),
            ({"CanonicalUser": "bob"}, (BOB,)),
            ({"AWS": "bob"}, ()),
            ({"Service": "s3.amazonaws.com"}, ()),
        )
        for principal, meant in table:
            allowing = bucket_with(statement(Principal=principal))
            sparing = bucket_with(statement(), statement("Deny", Principal=None, NotPrincipal=principal))
            for identity in (ADA, BOB, ANYBODY):
                for bucket in (allowing, sparing):
                    may = decide(request(identity), bucket).allowed
                    self.assertEqual(may, identity in meant, (principal, identity))

    def test_one_after_the_other(self) -> None:
        """What is remembered of a policy for one caller is not taken for another, in whichever order they come."""
        policies = [
            bucket_with(statement(Principal=principal))
            for principal in ({"CanonicalUser": "ada"}, {"AWS": "research"}, "*")
        ]
        alone = {
            (who, number): decide(request(who), evolve(bucket, policy=evolve(bucket.policy))).allowed  # a new one
            for number, bucket in enumerate(policies)
            if bucket.policy is not None
            for who in (ADA, BOB, ANYBODY)
        }
        for callers in permutations((ADA, BOB, ANYBODY)):
            for number, bucket in enumerate(policies):
                fresh = evolve(bucket, policy=evolve(bucket.policy)) if bucket.policy is not None else bucket
                for who in callers * 2:
                    self.assertEqual(decide(request(who), fresh).allowed, alone[who, number], (callers, number, who))

    def test_what_is_remembered_is_bounded(self) -> None:
        """A policy remembers 1024 callers and begins anew after those."""
        policy = bucket_policy(statement())
        for number in range(1025):
            policy.about("s3:GetObject", Identity(str(number), "", ""))
            self.assertEqual(len(policy._candidates), number % 1024 + 1)
        self.assertEqual(policy, bucket_policy(statement()))

    def test_keys_are_told_apart(self) -> None:
        """What is remembered of one condition key is not taken for another's value."""
        conditions = [{"StringEquals": {key: "a"}} for key in ("s3:prefix", "s3:delimiter", "s3:prefix")]
        bucket = bucket_with(
            *(statement(Sid=str(n), Action=["s3:PutObject", "s3:GetObject"][n == 2], Condition=c)
              for n, c in enumerate(conditions)),
            statement("Deny", Condition={"StringEquals": {"s3:delimiter": "b"}, "StringLike": {"s3:prefix": "b"}}),
        )  # fmt: skip
        self.assert_may(request(ADA, context={"s3:prefix": "a", "s3:delimiter": "b"}), bucket)
        self.assert_may_not(request(ADA, context={"s3:prefix": "b", "s3:delimiter": "a"}), bucket)
        either = bucket_with(*(statement(Condition={"StringEquals": {"s3:prefix": prefix}}) for prefix in "ab"))
        for prefix, may in (("a", True), ("b", True), ("c", False)):
            self.assertIs(decide(request(ADA, context={"s3:prefix": prefix}), either).allowed, may)

    def test_resources(self) -> None:
        """A statement is about the resources that it names, or about all but those."""
        table = (
            ({"Resource": f"{ARN}/*"}, ("a", "a/b"), (None,)),
            ({"Resource": ARN}, (None,), ("a",)),
            ({"Resource": [f"{ARN}/a", f"{ARN}/b/?"]}, ("a", "b/c"), ("ab", "b/", None, "A")),
            ({"Resource": "*"}, ("a", None), ()),
            ({"Resource": "arn:aws:s3:::*/*.jpg"}, ("a.jpg", "/.jpg"), ("a.png", None)),
            ({"Resource": f"{ARN}/${{aws:username}}/*"}, ("ada/x",), ("bob/x", "${aws:username}/x")),
            ({"Resource": None, "NotResource": f"{ARN}/secret/*"}, ("a", None), ("secret/a",)),
            ({"Resource": f"arn:aws:s3::research:{BUCKET}/*"}, (), ("a", None)),
            ({"Resource": f"arn:aws:s3::X:{BUCKET}/*"}, (), ("a", None)),
            ({"Resource": f"arn:aws:s3:*:*:{BUCKET}/*"}, ("a",), (None,)),
        )
        for elements, meant, others in table:
            bucket = bucket_with(statement(Action="s3:*", **elements))
            for keys, expected in ((meant, True), (others, False)):
                for key in keys:
                    asked = request(ADA, "s3:GetObject", key, context={"aws:username": "ada"})
                    self.assertEqual(decide(asked, bucket).allowed, expected, (elements, key))

    def test_statements_about_something_else(self) -> None:
        """A statement that is about another object keeps none after it from being looked at."""
        elsewhere = f"{ARN}/elsewhere/*"
        bucket = bucket_with(statement(Resource=elsewhere), statement(), statement("Deny", Resource=elsewhere))
        self.assert_may(request(ADA), bucket)
        denying = bucket_with(statement(), statement("Deny", Resource=elsewhere), GET_DENIED)
        self.assert_may_not(request(ADA), denying, reason=Reason.STATEMENT)

    def test_tenants_bucket(self) -> None:
        """A resource may name the bucket's tenant."""
        allowing = statement(Resource=f"arn:aws:s3::res*:{BUCKET}/*")
        self.assert_may(request(ADA), bucket_with(allowing, tenant="research"))
        self.assert_may_not(request(ADA), bucket_with(allowing, tenant="sales"))

    def test_old_version_has_no_variables(self) -> None:
        """In a policy of 2008 a variable is text."""
        policy = bucket_policy(statement(Resource=f"{ARN}/${{aws:username}}"), Version="2008-10-17")
        bucket = evolve(UNIFORM, policy=policy)
        self.assert_may_not(request(ADA, key="ada", context={"aws:username": "ada"}), bucket)
        self.assert_may(request(ADA, key="${aws:username}", context={"aws:username": "ada"}), bucket)

    def test_conditions(self) -> None:
        """A statement with conditions is about the requests for which all of them hold."""
        bucket = bucket_with(
            statement(Condition={
                "StringEquals": {"s3:prefix": "a", "s3:delimiter": "/"}, "NumericLessThan": {"s3:max-keys": "10"},
            })
        )  # fmt: skip
        full = {"s3:prefix": "a", "s3:delimiter": "/", "s3:max-keys": "9"}
        self.assert_may(request(ADA, context=full), bucket)
        for wrong in ({"s3:prefix": "b"}, {"s3:delimiter": ""}, {"s3:max-keys": "10"}):
            self.assert_may_not(request(ADA, context=full | wrong), bucket)
        for name in full:
            self.assert_may_not(request(ADA, context={n: v for n, v in full.items() if n != name}), bucket)

    def test_object_of_another(self) -> None:
        """A bucket's policy cannot give away what belongs to somebody else, but it can deny it."""
        bucket = bucket_with(statement(), uniform=False)
        self.assert_undecided(request(BOB), bucket)
        self.assert_may_not(request(BOB), bucket, ADAS, Reason.NOT_BUCKET_OWNERS)
        self.assert_may(request(ADA), bucket, ADAS)
        for object in (OWNERS, ABSENT):
            self.assert_may(request(BOB), bucket, object)
        self.assert_may(request(BOB), evolve(bucket, ownership=ObjectOwnership.BUCKET_OWNER_ENFORCED))
        self.assert_may_not(request(ADA), bucket_with(GET_DENIED, uniform=False), ADAS, Reason.STATEMENT)

    def test_public_bucket_restricted(self) -> None:
        """RestrictPublicBuckets confines a bucket with a public policy to its owner; fixed principals stay."""
        restricted = PublicAccessBlock(restrict_public_buckets=True)
        to_ada = statement(Principal={"AWS": "arn:aws:iam:::user/ada"})
        public = bucket_with(statement(Action="s3:PutObject"), to_ada, public_access=restricted)
        self.assert_may_not(request(ADA), public, reason=Reason.PUBLIC_BUCKET_RESTRICTED)
        self.assert_may_not(request(ANYBODY, "s3:PutObject"), public, reason=Reason.PUBLIC_BUCKET_RESTRICTED)
        for identity in (OWNER, ROOT):
            self.assert_may(request(identity), public)
        self.assert_may(request(ADA), bucket_with(to_ada, public_access=restricted))

    def test_public_bucket_restricted_and_a_list(self) -> None:
        """The list of an object can allow what a public policy may not, so the object is read."""
        restricted = PublicAccessBlock(restrict_public_buckets=True)
        listed = bucket_with(statement(), public_access=restricted, uniform=False)
        self.assert_undecided(request(ANYBODY), listed)
        self.assert_may_not(request(ANYBODY), listed, OWNERS, Reason.PUBLIC_BUCKET_RESTRICTED)
        self.assert_may(request(ANYBODY), listed, ObjectAccess("owner", granting(OWNER, "READ", ALL_USERS)))
