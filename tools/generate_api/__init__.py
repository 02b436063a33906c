"""Generates `post3tw/api/` from the S3 service model that botocore ships.

    python -m tools.generate_api           write the package
    python -m tools.generate_api --check   exit 1 and say what differs when the checked-in package is not what would be written

The model is read for names, shapes and bindings; its documentation is left out. botocore is needed here and in tests, never
when the server runs. What the model does not say, or says otherwise than AWS answers, is in `facts.py`, by hand.
"""
