"""Dates as S3 writes and reads them: text, milliseconds since the epoch (as rows keep them), aware datetimes.

Nothing here depends on the locale or the time zone of the process. What cannot be read is None: the caller knows which
error that is.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from time import gmtime

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH_NUMBERS = {name.lower(): number for number, name in enumerate(_MONTHS, 1)}

_TIME = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_MONTH = rf"(?P<month>{'|'.join(_MONTHS)})"
_ZONE = r"(?:GMT|UTC|(?P<zone>[+-][0-9]{2}:?[0-9]{2}))"
_HTTP_FORMATS = tuple(
    re.compile(pattern, re.IGNORECASE).fullmatch
    for pattern in (
        rf"[a-z]{{3}}, +(?P<day>[0-9]{{1,2}}) {_MONTH} +(?P<year>[0-9]{{4}}) {_TIME} {_ZONE}",  # IMF-fixdate
        rf"[a-z]{{6,9}}, (?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_TIME} {_ZONE}",  # RFC 850
        rf"[a-z]{{3}} {_MONTH} (?P<day>[ 0-9][0-9]) {_TIME} (?P<year>[0-9]{{4}})(?P<zone>)",  # asctime
    )
)
_iso8601_format = re.compile(
    r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})"
    rf"(?:T{_TIME}(?:\.(?P<fraction>[0-9]{{1,9}}))?(?:Z|(?P<zone>[+-][0-9]{{2}}:?[0-9]{{2}}))?)?",
    re.IGNORECASE,
).fullmatch
_amz_format = re.compile("([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})Z").fullmatch


def from_millis(ms: int) -> datetime:
    """The aware datetime, in UTC, of milliseconds since the epoch."""
    return _EPOCH + timedelta(milliseconds=ms)


def to_millis(value: datetime) -> int:
    """Milliseconds since the epoch of an aware datetime; what is finer is cut off."""
    return (value - _EPOCH) // _MILLISECOND


def http_date(ms: int) -> str:
    """The IMF-fixdate of RFC 9110 §5.6.7: `Fri, 24 May 2013 00:00:00 GMT`."""
    return _http_date(ms // 1000)


def http_date_of(value: datetime) -> str:
    """`http_date` of an aware datetime."""
    return _http_date((value - _EPOCH) // timedelta(seconds=1))


@lru_cache(maxsize=1024)
def _http_date(seconds: int) -> str:
    year, month, day, hour, minute, second, weekday, *_ = gmtime(seconds)
    date = f"{_DAYS[weekday]}, {day:02d} {_MONTHS[month - 1]} {year:04d}"
    return f"{date} {hour:02d}:{minute:02d}:{second:02d} GMT"


@lru_cache(maxsize=16384)
def iso8601(ms: int | str) -> str:
    """The form of dates in S3's documents: `2009-10-12T17:50:30.000Z`, from a number or its digits. Cached, as buckets
    are listed again."""
    seconds, fraction = divmod(int(ms), 1000)
    return f"{_iso8601_seconds(seconds)}.{fraction:03d}Z"


def iso8601_of(value: datetime) -> str:
    """`iso8601` of an aware datetime."""
    return iso8601(to_millis(value))


@lru_cache(maxsize=1024)
def _iso8601_seconds(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).isoformat()[:19]


def amz_date(ms: int) -> str:
    """The form of dates in signatures: `20130524T000000Z`."""
    return _iso8601_seconds(ms // 1000).replace("-", "").replace(":", "") + "Z"


def parse_http_date(text: str) -> int | None:
    """Milliseconds since the epoch of a date in any of the three forms of RFC 9110 §5.6.7, or None.

    Numeric zones are taken too, as mail dates have them. The weekday is not checked against the date. Two-digit years
    below 69 are of this century.
    """
    for matches in _HTTP_FORMATS:
        found = matches(text)
        if found is not None:
            year = int(found["year"])
            if year < 100 and len(found["year"]) == 2:
                year += 2000 if year < 69 else 1900
            return _millis(found, year, _MONTH_NUMBERS[found["month"].lower()])
    return None


def parse_iso8601(text: str) -> int | None:
    """Milliseconds since the epoch of `2009-10-12T17:50:30.000Z`, or None.

    The fraction may be absent or finer than milliseconds (then it is cut off), the zone may be an offset; a date alone
    is its midnight in UTC, and a time without a zone is in UTC.
    """
    found = _iso8601_format(text)
    if found is None:
        return None
    millis = _millis(found, int(found["year"]), int(found["month"]))
    if millis is None:
        return None
    return millis + int((found["fraction"] or "0").ljust(3, "0")[:3])


def _millis(found: re.Match[str], year: int, month: int) -> int | None:
    hour, minute, second = int(found["hour"] or 0), int(found["minute"] or 0), int(found["second"] or 0)
    try:
        zone = _zone(found["zone"]) if found["zone"] else UTC
        return to_millis(datetime(year, month, int(found["day"]), hour, minute, second, tzinfo=zone))
    except (ValueError, OverflowError):
        return None


def _zone(text: str) -> timezone:
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[-2:]))
    return timezone(-offset if text[0] == "-" else offset)


@lru_cache(maxsize=256)
def parse_amz_date(text: str) -> int | None:
    """Milliseconds since the epoch of an x-amz-date such as `20130524T000000Z`, or None."""
    found = _amz_format(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = map(int, found.groups())
    try:
        return to_millis(datetime(year, month, day, hour, minute, second, tzinfo=UTC))
    except ValueError:
        return None
