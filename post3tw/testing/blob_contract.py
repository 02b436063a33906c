"""What every blob store must do: run these tests against yours.

    class MyBlobsTests(BlobStoreContract, TestCase):
        def make_store(self) -> MyBlobs:
            return MyBlobs(...)

TestCase is `twisted.trial.unittest.TestCase`. Tests of an optional capability skip where the store does not provide it.
"""

from __future__ import annotations

from post3tw.testing.blob_content_rules import BlobContentRules
from post3tw.testing.blob_life_rules import BlobLifeRules


class BlobStoreContract(BlobContentRules, BlobLifeRules):
    """Tests of an IBlobStore. `make_store` is all that a subclass has to say."""
