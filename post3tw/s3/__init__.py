"""HTTP in, HTTP out: S3 as its clients speak it. Knows no storage.

`make_site` in `post3tw.s3.site` is the way in; `post3tw.s3.pipeline` shows what happens to a request.
"""
