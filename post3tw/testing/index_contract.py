"""What every index must do: run these tests against yours.

    class MyIndexTests(IndexContract, TestCase):
        def make_index(self) -> MyIndex:
            return MyIndex(...)

TestCase is `twisted.trial.unittest.TestCase`. The tests run the transactions of `post3tw.storage.index.transactions`,
which a third party's index runs too, and look at rows by SQL that every database we know takes.
"""

from __future__ import annotations

from post3tw.testing.index_blob_rules import BlobRules
from post3tw.testing.index_bucket_rules import BucketRules
from post3tw.testing.index_transaction_rules import TransactionRules


class IndexContract(TransactionRules, BucketRules, BlobRules):
    """Tests of an IIndex. `make_index` is all that a subclass has to say."""
