"""What is typed -> the moment; what is doubtful is refused."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollback_app.errors import UsageError
from rollback_app.moments import ago, clock, parse

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
BERLIN = "Europe/Berlin"


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=timezone.utc)  # type: ignore[arg-type,misc]


def refused(text: str, zone: str | None = BERLIN, now: datetime = NOW) -> UsageError:
    with pytest.raises(UsageError) as caught:
        parse(text, default_zone=zone, now=now)
    assert caught.value.returncode == 2
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-05-01 10:00", utc(2024, 5, 1, 8)),
        ("2024-05-01T10:00:00", utc(2024, 5, 1, 8)),
        ("2024-05-01 10:00:00.123456", utc(2024, 5, 1, 8, 0, 0, 123456)),
        ("2024-05-01T10:00:00Z", utc(2024, 5, 1, 10)),
        ("2024-05-01 10:00 UTC", utc(2024, 5, 1, 10)),
        ("2024-05-01 10:00 GMT", utc(2024, 5, 1, 10)),
        ("2024-05-01 10:00:00+02:00", utc(2024, 5, 1, 8)),
        ("2024-05-01 10:00:00+0200", utc(2024, 5, 1, 8)),
        ("2024-05-01 10:00:00-05:30", utc(2024, 5, 1, 15, 30)),
        ("20240501T100000Z", utc(2024, 5, 1, 10)),
        ("1 May 2024 10am", utc(2024, 5, 1, 8)),
        ("Wed, 1 May 2024 10:00:00 +0000", utc(2024, 5, 1, 10)),
        ("May 1st, 2024 at 10:00", utc(2024, 5, 1, 8)),
        ("25/05/2024 10:00", utc(2024, 5, 25, 8)),
        ("05/05/2024 10:00", utc(2024, 5, 5, 8)),
        ('"2024-05-01 10:00"', utc(2024, 5, 1, 8)),
        ("  2024-05-01 10:00 ", utc(2024, 5, 1, 8)),
        ("2024-01-01 10:00", utc(2024, 1, 1, 9)),
    ],
)
def test_reads(text: str, expected: datetime) -> None:
    moment = parse(text, default_zone=BERLIN, now=NOW)
    assert moment.at == expected
    assert moment.at.tzinfo is timezone.utc
    assert not moment.date_only


def test_a_date_alone_means_its_first_instant() -> None:
    moment = parse("2024-05-01", default_zone=BERLIN, now=NOW)
    assert moment.at == utc(2024, 4, 30, 22)
    assert moment.date_only


def test_a_skipped_midnight_means_the_first_instant_after_it() -> None:
    moment = parse("2018-11-04", default_zone="America/Sao_Paulo", now=NOW)
    assert moment.at == utc(2018, 11, 4, 3)


@pytest.mark.parametrize("text", ["10", "10:00", "May 2024", "2024", "2024-05", "1 May", "Tuesday", "May", "24-05-01"])
def test_refuses_a_part(text: str) -> None:
    assert "2024-05-01 10:00" in refused(text).hint


@pytest.mark.parametrize("text", ["", "yesterday", "nonsense", "now", "2024-13-45", "2024-05-01 25:00", "１ May 2024"])
def test_refuses_what_is_no_date(text: str) -> None:
    refused(text)


def test_refuses_day_and_month_that_could_be_swapped() -> None:
    error = refused("05/06/2024 10:00")
    assert '"2024-06-05 10:00"' in error.hint
    assert '"2024-05-06 10:00"' in error.hint


def test_refuses_a_year_of_two_digits() -> None:
    assert "two digits" in refused("05.06.24").message


@pytest.mark.parametrize("name", ["EST", "IST", "CET", "Berlin"])
def test_refuses_abbreviations_of_zones(name: str) -> None:
    error = refused(f"2024-05-01 10:00 {name}")
    assert name in error.message
    assert "--timezone" in error.hint


@pytest.mark.parametrize("text", ["2024-05-01 10:00 +2", "2024-05-01 10:00 UTC+2", "2024-05-01 10:00 +2:00"])
def test_refuses_odd_offsets(text: str) -> None:
    assert "two ways" in refused(text).message


def test_refuses_the_future() -> None:
    error = refused("2026-01-01 02:00")
    assert error.message == "2026-01-01 01:00:00 UTC is in the future. It is now 2026-01-01 00:00:00 UTC."


def test_the_very_present_is_not_the_future() -> None:
    assert parse("2026-01-01 01:00", default_zone=BERLIN, now=NOW).at == NOW


def test_refuses_a_time_that_happened_twice() -> None:
    error = refused("2024-10-27 02:30")
    assert "happened twice in Europe/Berlin" in error.message
    assert error.hint == 'Give "2024-10-27 02:30:00+02:00" or "2024-10-27 02:30:00+01:00".'
    for text in error.hint.split('"')[1::2]:
        parse(text, default_zone=BERLIN, now=NOW)


def test_refuses_a_time_that_never_happened() -> None:
    error = refused("2024-03-31 02:30")
    assert "never happened in Europe/Berlin" in error.message
    assert error.hint == 'Give "2024-03-31 01:30:00+01:00" or "2024-03-31 03:30:00+02:00".'


def test_without_a_zone_an_offset_is_needed() -> None:
    assert "does not say which time zone it is in" in refused("2024-05-01 10:00", zone=None).message
    assert parse("2024-05-01 10:00Z", default_zone=None, now=NOW).at == utc(2024, 5, 1, 10)


@pytest.mark.parametrize("zone", ["Europe/Atlantis", "", "../etc/passwd", "Europe"])
def test_refuses_an_unknown_zone(zone: str) -> None:
    assert f"There is no time zone '{zone}'." in refused("2024-05-01 10:00", zone=zone).message


def test_refuses_what_is_outside_of_the_calendar() -> None:
    assert "outside the calendar" in refused("0001-01-01 00:00+14:00").message


def test_describes_zone_utc_and_distance() -> None:
    moment = parse("2024-05-01 10:00", default_zone=BERLIN, now=NOW)
    assert moment.describe(utc(2024, 5, 1, 11, 12)) == (
        "2024-05-01 10:00:00 Europe/Berlin = 08:00:00 UTC, 3 h 12 min ago"
    )
    midnight = parse("2024-05-01", default_zone=BERLIN, now=NOW).describe(utc(2024, 5, 1))
    assert midnight == "2024-05-01 00:00:00 Europe/Berlin = 2024-04-30 22:00:00 UTC, 2 h ago"
    in_utc = parse("2024-05-01 10:00Z", default_zone=BERLIN, now=NOW)
    assert in_utc.describe(utc(2024, 5, 1, 10)) == "2024-05-01 10:00:00 UTC, 0 s ago"
    offset = parse("2024-05-01 10:00-03:30", default_zone=BERLIN, now=NOW)
    assert offset.zone_name == "-03:30"


@pytest.mark.parametrize(
    ("distance", "expected"),
    [
        (timedelta(seconds=5), "5 s ago"),
        (timedelta(minutes=2), "2 min ago"),
        (timedelta(minutes=2, seconds=1), "2 min 1 s ago"),
        (timedelta(hours=3, seconds=1), "3 h ago"),
        (timedelta(days=1, hours=2), "1 day 2 h ago"),
        (timedelta(days=400, minutes=2), "400 days ago"),
    ],
)
def test_ago(distance: timedelta, expected: str) -> None:
    assert ago(distance) == expected


@given(st.datetimes(datetime(1971, 1, 1), datetime(2025, 12, 30), timezones=st.just(timezone.utc)))
def test_what_is_printed_can_be_pasted(at: datetime) -> None:
    assert parse(at.isoformat(sep=" "), default_zone=None, now=NOW).at == at
    assert parse(clock(at), default_zone="UTC", now=NOW).at == at


@given(st.text(max_size=30))
def test_nothing_else_is_raised(text: str) -> None:
    try:
        moment = parse(text, default_zone=BERLIN, now=NOW)
    except UsageError:
        return
    assert moment.at <= NOW


@given(st.text(alphabet="0123456789-+/:. TZapmMay", max_size=25))
def test_nothing_else_is_raised_for_what_looks_like_a_date(text: str) -> None:
    test_nothing_else_is_raised.hypothesis.inner_test(text)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-05-15 11:00:00 Europe/Berlin", utc(2024, 5, 15, 9)),
        ("2024-05-15 11:00:00 America/Argentina/Buenos_Aires", utc(2024, 5, 15, 14)),
        ("2024-05-15 11:00:00 [Asia/Tokyo]", utc(2024, 5, 15, 2)),
        ("2024-05-15 11:00:00 Europe/Berlin = 09:00:00 UTC", utc(2024, 5, 15, 9)),
        ("2024-05-15 00:00:00 Europe/Berlin = 2024-05-14 22:00:00 UTC, 3 h 2 min ago", utc(2024, 5, 14, 22)),
        ("2024-05-15 11:00:00 UTC, 2 h ago", utc(2024, 5, 15, 11)),
        ("2024-05-15 11:00:00 +02:00", utc(2024, 5, 15, 9)),
        ("2024-05-15 11:00+14:00", utc(2024, 5, 14, 21)),
        ("2024-05-15 11:00-12:00", utc(2024, 5, 15, 23)),
        ("2024-05-15T10-02", utc(2024, 5, 15, 12)),
        ("Wed May 15 10:00:00 UTC 2024", utc(2024, 5, 15, 10)),
        ("Wednesday 15 May 2024 10:00", utc(2024, 5, 15, 8)),
        ("20240515 110000Z", utc(2024, 5, 15, 11)),
        ("20240515110000", utc(2024, 5, 15, 9)),
        ("2024-05-15 1030", utc(2024, 5, 15, 8, 30)),
        ("2020-10-10 20:20:20.2020", utc(2020, 10, 10, 18, 20, 20, 202000)),
        ("20:24 15 May 2020", utc(2020, 5, 15, 18, 24)),
    ],
)
def test_reads_what_is_printed_here_and_elsewhere(text: str, expected: datetime) -> None:
    assert parse(text, default_zone=BERLIN, now=NOW).at == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("2024-05-15 11:00 12:00", "more than one time"),
        ("2024-05-15T10 11:00", "more than one time"),
        ("20240515T110000 10:00", "more than one time"),
        ("20240515110000 10:00", "more than one time"),
        ("2024-05-15 10am 10pm", "more than one time"),
        ("2024-05-15 10 am pm", "more than one am or pm"),
        ("2024-05-15 2024", "more than one year"),
        ("Wed Thu 16 May 2024", "more than one weekday"),
        ("Monday 15 May 2024", "wrong weekday: 2024-05-15 is a Wednesday"),
        ("2024-05-15 10:00+02:00+02:00", "more in it than one date and time"),
        ("2024-05-15 10:00,5", "more in it than one date and time"),
        ("2024-05-15 --", "more in it than one date and time"),
        ("2024-05-15T", "more in it than one date and time"),
        ("2024-05-15 0 pm", "more in it than one date and time"),
        ("2024-05-15 10:00+14:01", "no time zone has"),
        ("2024-05-15 10:00-12:30", "no time zone has"),
        ("2024-05-15 10:00 Z+1", "two ways"),
        ("2024-05-15 10:00+02:00 Europe/Berlin", "an offset and a time zone"),
        ("2024-05-15 10:00 Mars/Base", "There is no time zone 'Mars/Base'."),
        ("2024-05-15 11:00:00 Europe/Berlin = 10:00:00 UTC", "two different times"),
        ("2024-05-15\x00", "is not a date"),
        ("x" * 200, f"'{'x' * 79}…' is not a date."),
        ("\udc80", "'\\udc80' is not a date."),
    ],
)
def test_refuses_what_would_be_left_out_of_account(text: str, words: str) -> None:
    assert words in refused(text).message
