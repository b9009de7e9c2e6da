"""Time zones and drafts: what is written for Instantly, as pure functions."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servers.instantly.drafts import (
    campaign_body,
    custom_variables,
    delays,
    differences,
    holds_words,
    hours_of,
    steps_of,
    unsafe,
    weekdays_of,
)
from servers.instantly.timezones import ACCEPTED, EXACT, NEAREST, _nearest, ahead, vendor_window
from shared.errors import Invalid
from shared.ports import Message, SendingWindow
from tests.conftest import CONTRACTS
from tests.servers.instantly_world import DRAFT, person

YEARS = (date(2026, 1, 1), date(2027, 1, 1))
TODAY = date(2026, 11, 23)
MAP = CONTRACTS / "instantly/timezone-map.json"


def body_of(**changes: object) -> dict[str, object]:
    """The create call's body of the usual draft."""
    draft = replace(DRAFT, **changes)  # type: ignore[arg-type]  # any field by name
    return campaign_body(
        draft, TODAY, open_tracking=True, stop_for_company=True, unsubscribe_text="Unsubscribe"
    )[0]


@pytest.mark.parametrize("zone", sorted(EXACT))
def test_an_exact_equivalent_keeps_the_same_clock_on_every_day_of_two_years(zone: str) -> None:
    assert EXACT[zone] in ACCEPTED
    assert {ahead(EXACT[zone], zone, year) for year in YEARS} == {(0, 0)}


@pytest.mark.parametrize("zone", sorted(NEAREST))
def test_no_accepted_zone_keeps_the_clock_of_those_that_have_no_equivalent(zone: str) -> None:
    assert NEAREST[zone] in ACCEPTED
    assert all(ahead(accepted, zone, YEARS[0]) != (0, 0) for accepted in ACCEPTED)


def test_the_tables_are_those_that_were_computed_from_the_database() -> None:
    if not MAP.exists():
        pytest.skip("the vendor's published documents are not on this machine")
    published = json.loads(MAP.read_text(encoding="utf-8"))
    assert set(NEAREST) == set(published["no_exact_equivalent"])
    assert all(EXACT[zone] in exact for zone, exact in published["exact"].items())


@pytest.mark.parametrize("day", [date(2026, 1, 5), date(2026, 3, 9), date(2026, 7, 1), date(2026, 11, 2)])
def test_us_pacific_hours_are_kept_to_the_minute_all_year_and_a_warning_says_how(day: date) -> None:
    window = vendor_window(SendingWindow(timezone="America/Los_Angeles", start="09:00", end="17:00"), day)
    assert (window.timezone, window.start, window.end) == ("America/Anchorage", "08:00", "16:00")
    assert window.warning == (
        "Instantly accepts no time zone with the clock of America/Los_Angeles: the campaign is set to 08:00 to "
        "16:00 in America/Anchorage. By the clock of America/Los_Angeles these are the same hours, 09:00 to 17:00."
    )


@pytest.mark.parametrize("zone", sorted([*sorted(EXACT)[::9], *NEAREST]))
def test_mail_leaves_within_the_hours_asked_for_at_every_hour_of_a_year(zone: str) -> None:
    try:
        made = vendor_window(SendingWindow(timezone=zone, start="09:00", end="17:00"), YEARS[0])
    except Invalid:
        assert zone in NEAREST
        return
    for hour in range(0, 366 * 24, 5):  # five and twenty-four share no factor: every hour of the day is met
        moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hour)
        if made.start <= moment.astimezone(ZoneInfo(made.timezone)).strftime("%H:%M") < made.end:
            assert "09:00" <= moment.astimezone(ZoneInfo(zone)).strftime("%H:%M") < "17:00", moment


def test_where_the_clocks_drift_the_hours_are_narrowed_to_stay_inside() -> None:
    window = vendor_window(
        SendingWindow(timezone="Australia/Lord_Howe", start="09:00", end="17:00"), YEARS[0]
    )
    assert (window.start, window.end) == ("09:00", "16:30")
    assert "within them all year" in window.warning


def test_a_zone_that_is_in_no_table_gets_the_one_that_strays_least() -> None:
    assert _nearest("Europe/Paris", YEARS[0]) in {
        "Europe/Belgrade",
        "Arctic/Longyearbyen",
        "Africa/Ceuta",
        "Europe/Sarajevo",
    }
    assert _nearest("America/Los_Angeles", YEARS[0]) == "America/Anchorage"


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
        vendor_window(SendingWindow(timezone=zone, start=start, end=end), TODAY)


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


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["steps", "variants", "schedules", "timing", "days", "0"]), inner, max_size=3
            )
        ),
        max_leaves=8,
    ),
    st.sampled_from(["sequences", "campaign_schedule", "email_list", "name", "cc_list", "payload"]),
)
def test_whatever_the_vendor_holds_instead_is_a_difference_and_no_bug(value: object, field: str) -> None:
    held = {**body_of(), field: value}
    assert set(differences(body_of(), held)) <= {field}
    assert unsafe(held, "Unsubscribe") is not None
    assert steps_of(held) is not None
    assert weekdays_of(hours_of(held)) is not None
    assert not holds_words(held, {"body_1": "words"})
