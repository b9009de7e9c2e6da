"""In which time zone somebody works, and that campaigns are grouped by it."""

import json
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from orchestrator.campaigns import draft, own_zone, plan_campaigns
from orchestrator.findings import Tally, Worth
from orchestrator.strategy import make_strategy
from orchestrator.zones import _PLACES, BY_COUNTRY, BY_PLACE, zone_of
from shared.kernel import Kernel
from shared.lead import Lead
from tests.orchestrator.people import RULES, a_lead
from tests.orchestrator.world import alone, people, planned, the

WHERE = {
    "Austin, Texas, United States": "America/Chicago",
    "New York, New York, United States": "America/New_York",
    "San Francisco Bay Area": "America/Los_Angeles",
    "Phoenix, Arizona, United States": "America/Phoenix",
    "London, England, United Kingdom": "Europe/London",
}


@pytest.mark.parametrize(
    ("location", "country", "zone"),
    [
        *((location, "", zone) for location, zone in WHERE.items()),
        ("Austin, TX 78701", "US", "America/Chicago"),
        ("Washington, District of Columbia, United States", "US", "America/New_York"),
        ("Seattle, Washington", "", "America/Los_Angeles"),
        ("Toronto, Ontario, Canada", "CA", "America/New_York"),
        ("Vancouver, British Columbia, Canada", "", "America/Vancouver"),
        ("Perth, Western Australia, Australia", "", "Australia/Perth"),
        ("Paris", "FR", "Europe/Berlin"),
        ("", "fr", "Europe/Berlin"),
        ("Berlin, Germany", "US", "Europe/Berlin"),
        ("", "US", ""),
        ("United States", "US", ""),
        ("Springfield, United States", "US", ""),
        ("Somewhere", "", ""),
        ("Somewhere", "BR", ""),
        ("", "", ""),
        ("CA", "", ""),
    ],
)
def test_a_zone_follows_from_country_and_location(location: str, country: str, zone: str) -> None:
    assert zone_of(Lead("l", location=location, country=country)) == zone


def test_every_zone_of_the_table_is_one() -> None:
    named = {*BY_COUNTRY.values(), *(zone for places in BY_PLACE.values() for zone in places.values())}
    assert {ZoneInfo(zone).key for zone in named} == named


def test_every_state_stands_once_by_name_and_by_short_form() -> None:
    names = [name for name in BY_PLACE["US"] if len(name) == 2]
    assert len(names) == 51  # fifty and the capital's district
    for country, zones in _PLACES.items():
        written = [name.strip() for names in zones.values() for name in names.split("|")]
        assert sorted(written) == sorted(BY_PLACE[country])


def test_the_configured_zone_is_nobodys_own_and_no_zone_is_asked_for_where_it_is_switched_off() -> None:
    window = replace_window(recipient_zones=False)
    here, there = a_lead(location="Austin, Texas, United States"), a_lead(location="San Francisco Bay Area")
    assert (own_zone(here, RULES), own_zone(there, RULES)) == ("", "America/Los_Angeles")
    assert own_zone(there, window) == ""


def test_whom_nobody_may_write_to_makes_no_campaign_of_their_own() -> None:
    assert own_zone(a_lead(location="Berlin, Germany", country="DE"), RULES) == ""
    assert own_zone(a_lead(location="Paris, France", country="FR"), RULES) == "Europe/Berlin"


def replace_window(**changes: object):  # type: ignore[no-untyped-def]  # the rules, whatever their type
    outreach = RULES.outreach
    changed = outreach.model_copy(update={"window": outreach.window.model_copy(update=changes)})
    return replace(RULES, outreach=changed)


def test_people_are_grouped_by_zone_and_get_the_same_hours_by_their_own_clock() -> None:
    leads = [
        (a_lead(id=f"{number:03}", location=location, country=""), "tier_2")
        for number, location in enumerate([*WHERE, "Somewhere"])
    ]
    made = plan_campaigns(leads, RULES, run_id="r")  # type: ignore[arg-type]  # a tier by name
    drafts = {one.timezone: draft(one, RULES) for one in made}
    assert {zone: len(one.lead_ids) for one in made for zone in [one.timezone]} == {
        "": 2,  # Austin and whoever is somewhere
        "America/New_York": 1,
        "America/Los_Angeles": 1,
        "America/Phoenix": 1,
        "Europe/London": 1,
    }
    assert drafts[""].window.timezone == "America/Chicago"
    assert drafts["Europe/London"].window.timezone == "Europe/London"
    assert {(one.window.start, one.window.end) for one in drafts.values()} == {("09:00", "17:00")}
    assert "Europe/London" in drafts["Europe/London"].name


def test_a_plan_says_by_whose_clock_and_counts_a_campaign_for_each() -> None:
    tally = Tally(RULES)
    for number in range(60):
        location = "Austin, Texas, United States" if number % 3 else "San Francisco Bay Area"
        tally.add(a_lead(id=str(number), location=location), Worth("tier_2", 75))
    (line,) = make_strategy(tally.findings("x"), RULES).lines
    assert [(share.name, share.people) for share in line.zones] == [
        ("America/Chicago", 40),
        ("America/Los_Angeles", 20),
    ]
    assert line.campaigns == 2


async def test_a_run_over_two_zones_is_two_campaigns_whose_drafts_differ_in_their_clock(
    live_kernel: Kernel,
) -> None:
    app = alone(live_kernel)
    west = people(2, start=10, location="San Francisco Bay Area")
    _, ids = await planned(app, [*people(3), *west])
    drafts = [json.loads((await the(app, campaign_id)).draft) for campaign_id in ids]
    assert sorted(one["window"]["timezone"] for one in drafts) == ["America/Chicago", "America/Los_Angeles"]
