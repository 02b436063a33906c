"""A browser: a form that uploads a file, and a page of another origin that reads and writes objects."""

from __future__ import annotations

import json
import shutil
from typing import Any

from tests.clients import case
from tests.clients.browser import BROWSERS, Pages

_FORM = """<!doctype html><meta charset="utf-8">
<form method="post" enctype="multipart/form-data" action="%(action)s">%(fields)s
<input type="file" name="file"><input type="submit" name="submit" value="Upload"></form>
<script>
const content = new Uint8Array(300000).map((_, i) => i %% 251);
const chosen = new DataTransfer();
chosen.items.add(new File([content], "grüße \\"1\\".bin", {type: "application/x-chosen"}));
document.querySelector("[type=file]").files = chosen.files;
document.querySelector("[type=submit]").click();
</script>"""

_PAGE = """<!doctype html><meta charset="utf-8"><script type="module">
async function tried(url, options) {
  try {
    const answer = await fetch(url, options);
    return {status: answer.status, etag: answer.headers.get("etag"), text: await answer.text()};
  } catch (error) {
    return {error: error.name};
  }
}
const urls = %(urls)s;
const report = {};
for (const [name, method, url] of urls) {
  const sent = method === "PUT" ? {body: "hello", headers: {"x-amz-meta-a": "b"}} : {};
  report[name] = await tried(url, {method, ...sent});
}
await fetch("/report", {method: "POST", body: JSON.stringify(report)});
</script>"""


class BrowserTests(case.ClientCase):
    """Over http: a browser would not let a page of http talk to a certificate that nobody signed."""

    def setUp(self) -> None:
        """Find a browser, and make the bucket."""
        super().setUp()
        self.browser = _find_browser()
        self.s3.create_bucket(Bucket=self.bucket)

    def test_form(self) -> None:
        """A form with a signed policy stores the file that was chosen, and sends the browser on to where it says."""
        pages: dict[str, str] = {}
        server = Pages(pages)
        self.addCleanup(server.close)
        done = f"{server.origin}/done"
        said = {"success_action_redirect": done, "x-amz-meta-who": "Ada ☂", "Content-Type": "text/x-form"}
        post = self.s3.generate_presigned_post(
            self.bucket,
            "up/${filename}",
            Fields=said,
            Conditions=[*({name: value} for name, value in said.items()), ["content-length-range", 1, 300_000]],
        )
        fields = "".join(
            f'<input type="hidden" name="{name}" value="{value}">' for name, value in post["fields"].items()
        )
        pages["/form.html"] = _FORM % {"action": post["url"], "fields": fields}
        report = server.report_of(self.browser, "/form.html", self.home)
        self.assertEqual(report["bucket"], self.bucket)
        stored = self.s3.get_object(Bucket=self.bucket, Key=report["key"])
        self.assertEqual(stored["Body"].read(), bytes(i % 251 for i in range(300_000)))
        self.assertEqual(report["etag"], stored["ETag"])
        self.assertEqual(stored["ContentType"], "text/x-form")
        # Browsers escape quotes so.
        self.assertEqual(report["key"], "up/grüße %221%22.bin")

    def test_another_origin(self) -> None:
        """A page reads, writes and sees errors as far as the bucket's CORS configuration lets it, and no further."""
        pages: dict[str, str] = {}
        server = Pages(pages)
        self.addCleanup(server.close)
        self.s3.put_object(Bucket=self.bucket, Key="there", Body=b"content")
        pages["/page.html"] = _PAGE % {"urls": json.dumps(self.urls())}
        closed = server.report_of(self.browser, "/page.html", self.home)
        self.assertEqual(set(map(str, closed.values())), {"{'error': 'TypeError'}"})

        rule = {
            "AllowedOrigins": [server.origin],
            "AllowedMethods": ["GET", "PUT"],
            "AllowedHeaders": ["x-amz-meta-*"],
            "ExposeHeaders": ["ETag"],
        }
        self.s3.put_bucket_cors(Bucket=self.bucket, CORSConfiguration={"CORSRules": [rule]})
        opened = server.report_of(self.browser, "/page.html", self.home)
        etag = self.s3.head_object(Bucket=self.bucket, Key="there")["ETag"]
        self.assertEqual(opened["get"], {"status": 200, "etag": etag, "text": "content"})
        self.assertEqual(opened["put"]["status"], 200)
        self.assertEqual(self.s3.head_object(Bucket=self.bucket, Key="new")["Metadata"], {"a": "b"})
        self.assertEqual(opened["missing"]["status"], 404)
        self.assertIn("NoSuchKey", opened["missing"]["text"])
        self.assertEqual(opened["delete"], {"error": "TypeError"})

    def urls(self) -> list[tuple[str, str, str]]:
        """What the page tries: a name, a method, a presigned URL."""

        def url(operation: str, key: str, **more: Any) -> str:
            presigned: str = self.s3.generate_presigned_url(operation, {"Bucket": self.bucket, "Key": key, **more})
            return presigned

        return [
            ("get", "GET", url("get_object", "there")),
            ("missing", "GET", url("get_object", "missing")),
            ("put", "PUT", url("put_object", "new", Metadata={"a": "b"})),
            ("delete", "DELETE", url("delete_object", "there")),
        ]


def _find_browser() -> str:
    """A browser's command.

    Raises:
        SkipTest: none is installed. In CI that is a failure.
    """
    return case.find_client(next((command for command in BROWSERS if shutil.which(command)), BROWSERS[0]))
