"""Time zones and drafts: what is written for Instantly, as pure functions."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from servers.instantly.drafts import campaign_body, custom_variables, delays, differences, holds_words
from servers.instantly.timezones import ACCEPTED, EXACT, SHIFTED, vendor_window
from shared.errors import Invalid
from shared.ports import Message, SendingWindow
from tests.servers.instantly_world import DRAFT, person

NOONS = [datetime(2026, 1, 1, 12, tzinfo=UTC) + timedelta(days=day) for day in range(0, 730, 5)]


def offsets(zone: str) -> list[float]:
    """Minutes ahead of UTC, every fifth day of two years."""
    moved = (noon.astimezone(ZoneInfo(zone)).utcoffset() for noon in NOONS)
    return [offset.total_seconds() / 60 for offset in moved if offset is not None]


def body_of(**changes: object) -> dict[str, object]:
    """The create call's body of the usual draft."""
    draft = replace(DRAFT, **changes)  # type: ignore[arg-type]  # any field by name
    return campaign_body(draft, open_tracking=True, stop_for_company=True, unsubscribe_text="Unsubscribe")[0]


@pytest.mark.parametrize("zone", sorted(EXACT))
def test_an_exact_equivalent_keeps_the_same_clock(zone: str) -> None:
    assert EXACT[zone] in ACCEPTED
    assert offsets(EXACT[zone]) == offsets(zone)


@pytest.mark.parametrize("zone", sorted(SHIFTED))
def test_a_shifted_zone_is_ahead_by_what_the_table_says(zone: str) -> None:
    near, least, most = SHIFTED[zone]
    ahead = [a - b for a, b in zip(offsets(near), offsets(zone), strict=True)]
    assert near in ACCEPTED
    assert (min(ahead), max(ahead)) == (least, most)


def test_us_pacific_hours_are_kept_to_the_minute_all_year() -> None:
    window = vendor_window(SendingWindow(timezone="America/Los_Angeles", start="09:00", end="17:00"))
    assert (window.timezone, window.start, window.end) == ("America/Anchorage", "08:00", "16:00")


def test_where_the_clocks_drift_the_hours_are_narrowed_to_stay_inside() -> None:
    window = vendor_window(SendingWindow(timezone="Australia/Lord_Howe", start="09:00", end="17:00"))
    assert (window.start, window.end) == ("09:00", "16:30")
    assert "narrowed" in window.warning


@pytest.mark.parametrize(
    ("zone", "start", "end"),
    [
        ("Europe/Berlin", "17:00", "09:00"),
        ("America/Los_Angeles", "00:30", "09:00"),
        ("Nowhere", "09:00", "17:00"),
    ],
)
def test_hours_that_can_not_be_expressed_are_refused(zone: str, start: str, end: str) -> None:
    with pytest.raises(Invalid):
        vendor_window(SendingWindow(timezone=zone, start=start, end=end))


def test_a_delay_is_the_gap_before_the_next_message() -> None:
    assert delays((0, 3, 7, 14)) == (3, 4, 7, 0)
    assert delays((0,)) == (0,)


def test_what_the_vendor_normalises_is_no_difference() -> None:
    wanted = body_of()
    held = {
        **wanted,
        "email_list": ["SAM@outreach.example", "ae@outreach.example"],
        "disable_bounce_protect": None,
    }
    assert differences(wanted, held) == ()


def test_every_field_the_vendor_does_not_hold_is_named() -> None:
    wanted = body_of()
    held = {**wanted, "email_list": [], "stop_on_reply": None, "daily_limit": 31, "sequences": []}
    assert set(differences(wanted, held)) == {"email_list", "stop_on_reply", "daily_limit", "sequences"}


def test_words_are_escaped_for_html_and_compared_as_the_vendor_gives_them_back() -> None:
    one = person("kim@acme.example", messages=(Message("A <b>", "1 < 2\r\n& more"),))
    variables = custom_variables(one)
    assert variables["subject_1"] == "A <b>"
    assert variables["body_1"] == "1 &lt; 2<br />&amp; more"
    assert holds_words({"payload": {**variables, "body_1": "1 &lt; 2<br>&amp; more", "x": 1}}, variables)
    assert not holds_words({"payload": {**variables, "body_1": "other"}}, variables)
