"""Dates of HTTP, of S3's documents and of signatures."""

from __future__ import annotations

import locale
from datetime import UTC, datetime, timedelta, timezone
from email.utils import formatdate, parsedate_to_datetime

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from post3tw.wire.dates import (
    amz_date,
    from_millis,
    http_date,
    http_date_of,
    iso8601,
    iso8601_of,
    parse_amz_date,
    parse_http_date,
    parse_iso8601,
    to_millis,
)

RFC_9110 = 784111777000  # the example date of RFC 9110, in milliseconds
MILLIS = st.integers(-62_135_596_800_000, 253_402_300_799_999)  # years 1 to 9999


class MillisTests(SynchronousTestCase):
    """Between milliseconds and datetimes."""

    def test_known(self) -> None:
        """A known moment converts both ways, in any zone."""
        moment = datetime(1994, 11, 6, 8, 49, 37, 123000, tzinfo=UTC)
        self.assertEqual(to_millis(moment), RFC_9110 + 123)
        self.assertEqual(from_millis(RFC_9110 + 123), moment)
        self.assertEqual(to_millis(moment.astimezone(timezone(timedelta(hours=-7)))), RFC_9110 + 123)

    def test_finer_than_a_millisecond_is_cut(self) -> None:
        """Microseconds do not round up."""
        self.assertEqual(to_millis(datetime(1970, 1, 1, 0, 0, 0, 1999, tzinfo=UTC)), 1)

    @given(MILLIS)
    def test_round_trip(self, ms: int) -> None:
        """Milliseconds come back from datetimes and from both texts, seconds from the HTTP date."""
        self.assertEqual(to_millis(from_millis(ms)), ms)
        self.assertEqual(parse_iso8601(iso8601(ms)), ms)
        self.assertEqual(parse_http_date(http_date(ms)), ms // 1000 * 1000)
        self.assertEqual(parse_amz_date(amz_date(ms)), ms // 1000 * 1000)
        self.assertEqual(iso8601_of(from_millis(ms)), iso8601(ms))
        self.assertEqual(http_date_of(from_millis(ms)), http_date(ms))


class WriteTests(SynchronousTestCase):
    """Dates that we send."""

    def test_http_date(self) -> None:
        """An IMF-fixdate, cut to the second."""
        self.assertEqual(http_date(RFC_9110 + 999), "Sun, 06 Nov 1994 08:49:37 GMT")
        self.assertEqual(http_date(0), "Thu, 01 Jan 1970 00:00:00 GMT")

    def test_iso8601(self) -> None:
        """Milliseconds always have three digits, and the zone is Z."""
        self.assertEqual(iso8601(1255369830000), "2009-10-12T17:50:30.000Z")
        self.assertEqual(iso8601(1255369830007), "2009-10-12T17:50:30.007Z")

    def test_amz_date(self) -> None:
        """The basic format, cut to the second."""
        self.assertEqual(amz_date(RFC_9110 + 999), "19941106T084937Z")

    @given(st.integers(0, 253_402_300_799))
    def test_against_the_standard_library(self, seconds: int) -> None:
        """The HTTP date is the one that email.utils makes."""
        self.assertEqual(http_date(seconds * 1000), formatdate(seconds, usegmt=True))

    def test_locale_does_not_matter(self) -> None:
        """Names of days and months are English under every locale."""
        before = locale.setlocale(locale.LC_TIME)
        self.addCleanup(locale.setlocale, locale.LC_TIME, before)
        for name in ("de_DE.UTF-8", "C.UTF-8", "C"):
            try:
                locale.setlocale(locale.LC_TIME, name)
            except locale.Error:
                continue
            self.assertEqual(http_date(1_000_000_000_000), "Sun, 09 Sep 2001 01:46:40 GMT")


class ReadTests(SynchronousTestCase):
    """Dates that clients send."""

    def test_http_dates(self) -> None:
        """The three forms of RFC 9110, and numeric zones, are the same moment."""
        for text in (
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "sun, 06 nov 1994 08:49:37 gmt",
            "Sun, 6 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 08:49:37 +0000",
            "Sun, 06 Nov 1994 09:49:37 +0100",
            "Sun, 06 Nov 1994 01:19:37 -0730",
        ):
            self.assertEqual(parse_http_date(text), RFC_9110, text)

    def test_two_digit_years(self) -> None:
        """Two-digit years from 69 on are of the last century."""
        for year, full in (("69", 1969), ("99", 1999), ("00", 2000), ("68", 2068)):
            ms = parse_http_date(f"Sunday, 06-Nov-{year} 08:49:37 GMT")
            self.assertIsNotNone(ms)
            self.assertEqual(from_millis(ms or 0).year, full)

    def test_bad_http_dates(self) -> None:
        """What is none of the forms is None."""
        for text in (
            "",
            "yesterday",
            "0",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 31 Feb 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 06 Nov 0000 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 +2500",
            "Sun, 06 Nov 1994 08:49:37 EST",
            "Sun, 06 Foo 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT ",
            "Sun, \u0660\u0666 Nov 1994 08:49:37 GMT",
            "Fri, 01 Jan 0001 00:00:00 +0100" * 100,
        ):
            self.assertIsNone(parse_http_date(text), text)

    def test_iso8601(self) -> None:
        """Fractions, offsets and missing parts are understood."""
        for text in (
            "1994-11-06T08:49:37Z",
            "1994-11-06T08:49:37.000Z",
            "1994-11-06T08:49:37.000999999Z",
            "1994-11-06t08:49:37z",
            "1994-11-06T08:49:37",
            "1994-11-06T09:49:37+01:00",
            "1994-11-06T01:49:37-0700",
        ):
            self.assertEqual(parse_iso8601(text), RFC_9110, text)
        self.assertEqual(parse_iso8601("1994-11-06T08:49:37.5Z"), RFC_9110 + 500)
        self.assertEqual(parse_iso8601("1994-11-06"), 784080000000)

    def test_bad_iso8601(self) -> None:
        """What is not ISO 8601 as S3 has it is None."""
        for text in (
            "",
            "1994",
            "1994-11",
            "1994-13-01",
            "1994-02-30T00:00:00Z",
            "19941106T084937Z",
            "1994-11-06T08:49Z",
            "1994-11-06T08:49:60Z",
            "1994-11-06T08:49:37.Z",
            "1994-11-06T08:49:37+24:00",
            "0001-01-01T00:00:00+99:99",
            "0000-01-01T00:00:00Z",
            "1994-11-06T08:49:37Z\n",
        ):
            self.assertIsNone(parse_iso8601(text), text)

    def test_amz_date(self) -> None:
        """The basic format of signatures is read, and only it."""
        self.assertEqual(parse_amz_date("20130524T000000Z"), 1369353600000)
        self.assertEqual(parse_amz_date("19941106T084937Z"), RFC_9110)
        for text in (
            "",
            "20130524",
            "20130524T000000",
            "20130524T000000z",
            "20130524T000000Z\n",
            "20131324T000000Z",
            "20130524T240000Z",
            "00000524T000000Z",
            "+0130524T000000Z",
            "2013-05-24T00:00:00Z",
            "\u0662\u0660130524T000000Z",
        ):
            self.assertIsNone(parse_amz_date(text), text)

    @given(st.text(max_size=40))
    def test_any_text(self, text: str) -> None:
        """Arbitrary text never raises."""
        for parse in (parse_http_date, parse_iso8601, parse_amz_date):
            parse(text)

    @given(st.datetimes(min_value=datetime(1000, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - wants a naive bound
    def test_http_date_against_the_standard_library(self, moment: datetime) -> None:
        """What email.utils reads out of our dates is what we read."""
        text = http_date_of(moment)
        self.assertEqual(parse_http_date(text), to_millis(parsedate_to_datetime(text)))
