"""`twistd post3`: post3tw.tap is imported only when it is chosen."""

from twisted.application.service import ServiceMaker

post3 = ServiceMaker("post3", "post3tw.tap", "An S3-compatible object store.", "post3")
