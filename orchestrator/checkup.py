"""What `swarm doctor` says of vendors and alerts: breakers, retries, clocks, and what nobody was told."""

from collections.abc import Iterable, Mapping

import sqlalchemy as sa

from shared.alerts import Raised, read
from shared.kernel import Kernel
from shared.ports import Check
from shared.retry import may_retry
from shared.schema import alert
from shared.settings import VendorSettings
from shared.traffic import Traffic
from shared.vendor_standing import VendorStanding, vendors


async def look(kernel: Kernel) -> list[Check]:
    """One consistent read."""
    accounts, now = kernel.settings.vendors, kernel.clock.now()

    def query(connection: sa.Connection) -> tuple[Mapping[str, VendorStanding], list[Raised]]:
        standing_ones = connection.execute(sa.select(alert).where(alert.c.cleared_at == ""))
        return vendors(connection, accounts, now), list(map(read, standing_ones))

    found, raised = await kernel.store.read(query)
    apart = kernel.settings.safety.alerts.clock_skew_seconds
    return [clocks(found, apart), breakers(found), retries(found, accounts), alerts(raised)]


def clocks(found: Mapping[str, VendorStanding], threshold: float) -> Check:
    """Whether our clock and the vendors' agree, as far as their answers told within the last hour."""
    wrong = {
        name: one.clock_ahead_seconds
        for name, one in found.items()
        if abs(one.clock_ahead_seconds) > threshold
    }
    told = _listed(f"{name} is {abs(s):.0f} s {'ahead' if s > 0 else 'behind'}" for name, s in wrong.items())
    well = f"no vendor's differs from ours by more than {threshold:g} s"
    return Check("clock", ok=not wrong, message=f"{told}; if several are, ours is wrong" if wrong else well)


def breakers(found: Mapping[str, VendorStanding]) -> Check:
    """Which accounts are left alone, or probed."""
    left = {name: one for name, one in found.items() if one.breaker != "closed"}
    told = _listed(
        f"{name} is {one.breaker.replace('_', ' ')} since {one.open_seconds / 60:.0f} minutes"
        for name, one in left.items()
    )
    return Check("breakers", ok=not left, message=f"{told}; swarm connections" if left else "all closed")


def retries(found: Mapping[str, VendorStanding], accounts: Mapping[str, VendorSettings]) -> Check:
    """How much of each account's budget of retries is used, and where none is left."""
    used = {name: one for name, one in found.items() if one.lately_retries}
    told = _listed(f"{name} {one.lately_retries} of {one.lately_calls} calls" for name, one in used.items())
    spent = [
        name
        for name, one in used.items()
        if not may_retry(accounts[name].file.retry, Traffic(one.lately_calls, one.lately_retries))
    ]
    said = f"spent at {_listed(spent)}; " if spent else ""
    return Check("retry budget", ok=not spent, message=said + (told or "no call was tried again lately"))


def alerts(raised: Iterable[Raised]) -> Check:
    """What stands, and what a channel didn't take."""
    standing = list(raised)
    problems = sorted({problem for one in standing for problem in one.problems})
    unheard = sum(one.state == "undelivered" for one in standing)
    told = f"{unheard} of {len(standing)} undelivered ({_listed(problems)}); docs/RUNBOOK.md, Alerts"
    return Check(
        "alerts", ok=not unheard, message=told if unheard else f"{len(standing)} stand, none unheard"
    )


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words)
