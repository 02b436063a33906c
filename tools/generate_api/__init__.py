"""Generates `post3tw/api/` from the S3 service model that botocore ships.

    python -m tools.generate_api           write the package
    python -m tools.generate_api --check   exit 1 and say what differs from the checked-in package

The model is read for names, shapes and bindings; its documentation is left out. botocore is needed here and in tests,
never when the server runs. What the model does not say, or says otherwise than AWS answers, is in `facts.py`, by hand.

Each module here writes one part: `types` the classes, `enums` the sets of values, `heads` what reads a request's query
and headers, `documents_in` and `documents_out` what reads and writes XML, `answers` what serialises outputs, and
`operations` the table of all. A part that builds requests and reads answers, for a client, would stand beside them.
"""
