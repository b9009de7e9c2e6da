"""What `swarm doctor` says of vendors and alerts: each line alone, and all of them from the database."""

from collections.abc import Callable

import pytest

from orchestrator import checkup
from shared.alerts import Alert, Delivery, Raised
from shared.ports import Check
from shared.settings import Settings
from shared.vendor_standing import VendorStanding
from tests.shared.world import HandClock, opened

Make = Callable[..., Settings]

ALERT = Alert("breaker", "critical", "left alone", 3, 2, "minutes", scope="ghl")


def raised(**deliveries: str) -> Raised:
    """One that channels took, or, with a kind of error, didn't."""
    taken = {
        name: Delivery("undelivered" if kind else "delivered", 1, kind=kind)
        for name, kind in deliveries.items()
    }
    return Raised(ALERT, "2026-01-01T00:00:00+00:00", "", "", taken)


@pytest.mark.parametrize(
    ("ahead", "ok", "said"),
    [
        (0, True, "no vendor's differs from ours by more than 60 s"),
        (60, True, "no vendor's"),
        (75, False, "ghl is 75 s ahead; if several are, ours is wrong"),
        (-3600, False, "ghl is 3600 s behind"),
    ],
)
@pytest.mark.requirement("F7")
def test_a_clock_that_differs_is_told_with_how_much(ahead: float, ok: bool, said: str) -> None:
    found = {"ghl": VendorStanding(clock_ahead_seconds=ahead), "instantly": VendorStanding()}
    check = checkup.clocks(found, 60)
    assert (check.ok, said in check.message) == (ok, True)


@pytest.mark.parametrize(
    ("breaker", "ok", "said"),
    [
        ("closed", True, "all closed"),
        ("open", False, "ghl is open since 3 minutes; swarm connections"),
        ("half_open", False, "ghl is half open"),
    ],
)
def test_who_is_left_alone_is_told_with_since_when(breaker: str, ok: bool, said: str) -> None:
    check = checkup.breakers({"ghl": VendorStanding(breaker, open_seconds=180)})
    assert (check.ok, said in check.message) == (ok, True)


@pytest.mark.parametrize(
    ("calls", "retries", "ok", "said"),
    [
        (500, 0, True, "no call was tried again lately"),
        (200, 19, True, "ghl 19 of 200 calls"),
        (200, 20, False, "spent at ghl; ghl 20 of 200 calls"),
        (12, 10, False, "spent at ghl"),
    ],
)
@pytest.mark.requirement("R6")
def test_how_much_of_the_budget_of_retries_is_used(
    settings_for: Make, calls: int, retries: int, ok: bool, said: str
) -> None:
    found = {"ghl": VendorStanding(lately_calls=calls, lately_retries=retries)}
    check = checkup.retries(found, settings_for().vendors)
    assert (check.ok, said in check.message) == (ok, True)


@pytest.mark.requirement("M2")
def test_alerts_that_nobody_heard_are_told_with_the_channel() -> None:
    check = checkup.alerts([raised(slack="Fatal", mail=""), raised(slack="")])
    assert (check.ok, check.message) == (
        False,
        "1 of 2 undelivered (slack: Fatal); docs/RUNBOOK.md, Alerts",
    )
    assert checkup.alerts([raised(slack="")]) == Check("alerts", ok=True, message="1 stand, none unheard")
    assert checkup.alerts([]).ok


async def test_all_of_it_is_read_from_the_database(settings_for: Make) -> None:
    async with opened(settings_for(), clock := HandClock()) as kernel:
        assert all(check.ok for check in await checkup.look(kernel))
        for _ in range(kernel.settings.vendor("ghl").file.breaker.least_calls):
            await kernel.limits.pace("ghl", again=True)
        clock.move(10)
        for _ in range(kernel.settings.vendor("ghl").file.breaker.least_calls):
            await kernel.breaker.failed("ghl")
        said = {check.name: check.ok for check in await checkup.look(kernel)}
    assert said == {"clock": True, "breakers": False, "retry budget": False, "alerts": True}
