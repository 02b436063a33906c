"""Statements made ready for PostgreSQL."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from post3tw.storage.index.postgresql.statements import integers, request, statement_of


class StatementTests(SynchronousTestCase):
    """Texts."""

    def text(self, sql: str) -> str:
        """What PostgreSQL is given."""
        return statement_of(sql).text.decode()

    def test_placeholders(self) -> None:
        """Placeholders are numbered from the left."""
        self.assertEqual(self.text("SELECT ? FROM t WHERE a=? LIMIT ?"), "SELECT $1 FROM t WHERE a=$2 LIMIT $3")

    def test_quoted(self) -> None:
        """A question mark in a text, a name or a comment is none."""
        sql = "SELECT '?', 'it''s ?', \"a?\", ? -- why?\nFROM t WHERE b = ?"
        self.assertEqual(self.text(sql), "SELECT '?', 'it''s ?', \"a?\", $1 -- why?\nFROM t WHERE b = $2")

    def test_once(self) -> None:
        """A text is translated once, and has one name."""
        self.assertIs(statement_of("SELECT 1"), statement_of("SELECT 1"))
        self.assertNotEqual(statement_of("SELECT 1").name, statement_of("SELECT 2").name)

    def test_reads(self) -> None:
        """Only what neither writes nor locks may be answered for two at once."""
        reads = {
            "SELECT id FROM buckets WHERE id = ?": True,
            "\n WITH RECURSIVE h AS (SELECT 1) SELECT * FROM h": True,
            "SELECT id FROM buckets\n WHERE id = ? FOR UPDATE": False,
            "INSERT INTO bodies (id) VALUES (?)": False,
            "DELETE FROM bodies": False,
        }
        self.assertEqual({sql: statement_of(sql).reads for sql in reads}, reads)

    def test_tells(self) -> None:
        """A statement that changes buckets says which."""
        statement = statement_of("UPDATE buckets SET versioning = ? WHERE id = ?")
        self.assertTrue(statement.tells)
        self.assertEqual(statement.text, b"UPDATE buckets SET versioning = $1 WHERE id = $2 RETURNING tenant, name")
        self.assertFalse(statement_of("UPDATE bucket_documents SET body = ?").tells)


class RequestTests(SynchronousTestCase):
    """Parameters."""

    def test_parameters(self) -> None:
        """Numbers travel as digits, text and bytes as they are, and nothing ends at a NUL."""
        made = request("SELECT ?, ?, ?, ?, ?", (-(1 << 63), True, "ä\0", b"\0\xff", None))
        self.assertEqual(made.values, (b"-9223372036854775808", b"1", b"\xc3\xa4\0", b"\0\xff", None))
        self.assertEqual(made.formats, (0, 0, 1, 1, 0))

    def test_other_types(self) -> None:
        """Anything else is a mistake."""
        self.assertRaises(TypeError, request, "SELECT ?", (1.5,))
        self.assertRaises(TypeError, request, "SELECT ?", ([1],))

    def test_no_unicode(self) -> None:
        """Text that UTF-8 cannot express is refused here, not by the database."""
        self.assertRaises(UnicodeEncodeError, request, "SELECT ?", ("\ud800",))

    def test_integers(self) -> None:
        """An array as PostgreSQL writes it."""
        self.assertEqual(integers([1, -2]), "{1,-2}")
