"""Reading multipart/form-data, whole and in pieces."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from post3tw.model.errors import (
    DomainError,
    FormTooLarge,
    InvalidArgument,
    MalformedForm,
    NotImplementedHere,
    WrongNumberOfFiles,
)
from post3tw.wire.multipart_form import MAX_FORM, File, MultipartForm, boundary_of, parse_parameters

BOUNDARY = b"----WebKitFormBoundaryPOST3"


def part(name: str, value: bytes, *, file_name: str | None = None, more: str = "") -> bytes:
    """One part with the delimiter before it."""
    file = "" if file_name is None else f'; filename="{file_name}"'
    head = f'Content-Disposition: form-data; name="{name}"{file}\r\n{more}\r\n'
    return b"--%b\r\n%b%b\r\n" % (BOUNDARY, head.encode(), value)


END = b"--%b--\r\n" % BOUNDARY


def read(body: bytes, *, step: int = 1 << 20, limit: int = MAX_FORM) -> tuple[MultipartForm, bytes]:
    """Read a body in pieces of one size; the form, and its file's content."""
    form = MultipartForm(BOUNDARY, limit)
    content = b"".join(piece for at in range(0, len(body), step) for piece in form.feed(body[at : at + step]))
    form.finish()
    return form, content


class ReadingTests(SynchronousTestCase):
    """Forms as browsers and libraries write them."""

    def test_fields_and_file(self) -> None:
        """Fields come with lower-case names, the file with its name and content."""
        body = part("Key", b"a/b") + part("X-Amz-Meta-Who", "Ada ☂".encode())
        body += part("file", b"content", file_name="c.txt", more="Content-Type: text/plain\r\n") + END
        form, content = read(body)
        self.assertEqual(form.fields, {"key": "a/b", "x-amz-meta-who": "Ada ☂"})
        self.assertEqual((form.file, content), (File("c.txt"), b"content"))

    def test_any_pieces(self) -> None:
        """However the body is cut, the same is read, even when the content is full of almost-delimiters."""
        content = b"\r\n--" + BOUNDARY[:-1] + b"\r\r\n\r\n-\r\n--\r\n" + BOUNDARY + b"--\r"
        body = part("key", b"k\r\n-") + part("empty", b"") + part("file", content) + part("submit", b"Go") + END
        for step in range(1, len(body) + 1):
            form, found = read(body, step=step)
            self.assertEqual((form.fields, found), ({"key": "k\r\n-", "empty": ""}, content), step)

    @given(
        st.lists(st.sampled_from([b"\r", b"\n", b"-", b"--", b"\r\n--", BOUNDARY[:-1], b"x", b"\0\xff"]), max_size=12),
        st.lists(st.integers(1, 40), max_size=30),
    )
    def test_any_content(self, words: list[bytes], cuts: list[int]) -> None:
        """Content that has no delimiter comes out as it went in, wherever the network cut it."""
        content = b"".join(words)
        body = part("key", b"k") + part("file", content) + END
        form, found, at = MultipartForm(BOUNDARY), b"", 0
        for cut in [*cuts, len(body)]:
            found += b"".join(form.feed(body[at : at + cut]))
            at += cut
        form.finish()
        self.assertEqual((form.fields, found), ({"key": "k"}, content))

    @given(st.binary(max_size=300), st.integers(1, 50))
    def test_any_bytes(self, body: bytes, step: int) -> None:
        """Whatever comes, the parser takes it or refuses it with an error of ours, however it is cut."""
        for start in (b"", b"--%b\r\n" % BOUNDARY, part("file", b"")[:-2]):
            outcomes: set[object] = set()
            for size in (step, 1 << 20):
                try:
                    outcomes.add(read(start + body, step=size)[1])
                except DomainError as error:
                    outcomes.add(type(error))
            self.assertEqual(len(outcomes), 1, outcomes)

    def test_empty_file(self) -> None:
        """A file of no byte is a file."""
        form, content = read(part("file", b"", file_name="") + END)
        self.assertEqual((form.file, content), (File(""), b""))

    def test_large_pieces_go_through_uncopied(self) -> None:
        """A piece of the file that holds no beginning of a delimiter is handed out as it is."""
        form = MultipartForm(BOUNDARY)
        form.feed(part("file", b"")[:-2])
        piece = b"x" * 65536
        (found,) = form.feed(piece)
        self.assertIs(found, piece)

    def test_fields_are_known_when_the_file_begins(self) -> None:
        """Nothing of the file need have come."""
        form = MultipartForm(BOUNDARY)
        form.feed(part("key", b"k") + part("file", b"")[:-2])
        self.assertEqual((form.fields, form.file), ({"key": "k"}, File("")))

    def test_fields_after_the_file_are_dropped(self) -> None:
        """As AWS does."""
        form, content = read(part("file", b"f") + part("key", b"late") + END)
        self.assertEqual((form.fields, content), ({}, b"f"))

    def test_line_before_and_bytes_behind(self) -> None:
        """An empty line in front and an epilogue are let pass."""
        self.assertEqual(read(b"\r\n" + part("file", b"f") + END + b"epilogue")[1], b"f")

    def test_repeated_ignored_fields(self) -> None:
        """Fields that nobody looks at may repeat."""
        self.assertEqual(read(part("x-ignore-a", b"1") + part("X-Ignore-A", b"2") + part("file", b"") + END)[1], b"")

    def test_parameters_as_browsers_quote_them(self) -> None:
        """Backslashes of file names stay, escaped quotes are quotes, and names are in any case."""
        self.assertEqual(
            parse_parameters('Form-Data; NAME="a"; filename="C:\\dir\\a \\"b\\".txt"; x=y'),
            ("form-data", {"name": "a", "filename": 'C:\\dir\\a "b".txt', "x": "y"}),
        )


class RefusingTests(SynchronousTestCase):
    """What is no form, and what is too much of one."""

    def refused(self, body: bytes, error: type[DomainError], **options: int) -> None:
        """The body is refused, in one piece and byte by byte."""
        for step in (1 << 20, 1):
            self.assertRaises(error, read, body, step=step, **options)

    def test_no_form(self) -> None:
        """Other bytes, another boundary, a preamble, a delimiter with more behind it."""
        for body in (
            b"",
            b"hello",
            b"preamble\r\n" + part("file", b"f") + END,
            part("file", b"f").replace(BOUNDARY, b"other") + END,
            part("key", b"k").replace(BOUNDARY, BOUNDARY + b"x") + part("file", b"f") + END,
        ):
            self.refused(body, MalformedForm)

    def test_no_end(self) -> None:
        """A body that ends anywhere before its last delimiter is none."""
        body = part("key", b"k") + part("file", b"content") + END
        for end in range(len(body) - 2):
            self.assertRaises(MalformedForm, read, body[:end])

    def test_bad_parts(self) -> None:
        """Parts without a name, of another disposition, with bad or doubled headers."""
        for head in (
            "X: y",
            'Content-Disposition: attachment; name="a"',
            "Content-Disposition: form-data",
            'Content-Disposition: form-data; name=""',
            'Content-Disposition: form-data; name="a"; name="b"',
            'Content-Disposition: form-data; name="a',
            'Content-Disposition: form-data; name="a" b',
            'Content-Disposition: form-data; name="a"\r\nContent-Disposition: form-data; name="file"',
            'Content-Disposition: form-data; name="a"\r\n folded: line',
            'Content-Disposition: form-data;\x00 name="a"',
            'Content-Disposition : form-data; name="a"',
            "no colon",
        ):
            body = b"--%b\r\n%b\r\n\r\nv\r\n" % (BOUNDARY, head.encode())
            self.refused(body + part("file", b"") + END, MalformedForm)

    def test_not_utf_8(self) -> None:
        """Names and values are UTF-8."""
        self.refused(part("key", b"\xff") + part("file", b"") + END, MalformedForm)
        self.refused(part("name", b"").replace(b'"name"', b'"\xff"') + part("file", b"") + END, MalformedForm)

    def test_field_twice(self) -> None:
        """One of the two might be checked and the other one used; case does not tell them apart."""
        self.refused(part("key", b"a") + part("Key", b"b") + part("file", b"") + END, InvalidArgument)

    def test_number_of_files(self) -> None:
        """There is one."""
        self.refused(part("key", b"k") + END, WrongNumberOfFiles)
        self.refused(part("file", b"1") + part("file", b"2") + END, WrongNumberOfFiles)

    def test_transfer_encoding(self) -> None:
        """A part in base64 would be stored as base64."""
        encoded = part("file", b"Zg==", more="Content-Transfer-Encoding: base64\r\n")
        self.refused(encoded + END, NotImplementedHere)
        self.assertEqual(read(encoded.replace(b"base64", b"Binary") + END)[1], b"Zg==")

    def test_too_much_beside_the_file(self) -> None:
        """PAR-5: fields, heads, what follows the file and the epilogue count; the file does not."""
        big = b"x" * 1000
        read(part("key", b"k") + part("file", big * 50) + END, limit=1000)
        for body in (
            part("key", big) + part("file", b"") + END,
            b"".join(part(f"x-amz-meta-{n}", b"") for n in range(20)) + part("file", b"") + END,
            b"--%b\r\nX: %b" % (BOUNDARY, big),
            part("file", b"") + part("late", big) + END,
            part("file", b"") + END + big,
        ):
            self.refused(body, FormTooLarge, limit=1000)

    def test_too_much_is_noticed_at_once(self) -> None:
        """A field without an end is refused when the bound is passed, not collected."""
        form = MultipartForm(BOUNDARY)
        form.feed(part("key", b"")[:-2])
        with self.assertRaises(FormTooLarge):
            for _ in range(MAX_FORM // 1024 + 1):
                form.feed(b"x" * 1024)


class BoundaryTests(SynchronousTestCase):
    """What Content-Type says."""

    def test_boundaries(self) -> None:
        """Plain or quoted, in any case, with other parameters beside it."""
        for value in (
            "multipart/form-data; boundary=abc",
            'Multipart/Form-Data;BOUNDARY="abc"',
            "multipart/form-data; charset=utf-8; boundary=abc",
        ):
            self.assertEqual(boundary_of(value), b"abc", value)

    def test_no_form(self) -> None:
        """Another type has none."""
        for value in ("", "text/plain", "application/x-www-form-urlencoded", "multipart/mixed; boundary=a"):
            self.assertIsNone(boundary_of(value))

    def test_bad_boundaries(self) -> None:
        """None, an empty one, one that is too long or has other characters."""
        for end in ("", "; boundary=", f"; boundary={'a' * 71}", '; boundary="a\\b"', '; boundary="a "', "; boundary"):
            self.assertRaises(MalformedForm, boundary_of, f"multipart/form-data{end}")
