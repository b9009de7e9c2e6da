"""How vendor accounts stand: their breakers, their traffic, their rates and their clocks. One consistent read."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from shared import breaker, traffic
from shared.clock import parse
from shared.rings import Rings
from shared.schema import traffic as traffic_table
from shared.schema import vendor_clock
from shared.settings import VendorSettings

SKEW_LASTS = timedelta(hours=1)  # a clock that nobody has heard of since is no news


@dataclass(frozen=True, slots=True)
class VendorStanding:
    """One account. Totals are since the database was made; `lately` is what the budget of retries looks back on."""

    breaker: str = "closed"
    open_seconds: float = 0.0  # since when it hasn't been closed
    calls: int = 0
    retries: int = 0
    failures: int = 0
    waited_seconds: float = 0.0  # for their turn, all together
    lately_calls: int = 0
    lately_retries: int = 0
    rate: float = 1.0  # of the allowed rate, the smallest of its limits
    clock_ahead_seconds: float = 0.0  # of ours; 0 where it isn't noted as wrong

    @property
    def retry_percent(self) -> float:
        """Retries of the calls of late."""
        return 100 * self.lately_retries / self.lately_calls if self.lately_calls else 0.0


def vendors(
    connection: sa.Connection, accounts: Mapping[str, VendorSettings], now: datetime
) -> dict[str, VendorStanding]:
    """Every configured account, by name."""
    totals, clocks = _totals(connection), _clocks(connection, now)
    return {
        name: _one(connection, account, totals.get(name), clocks.get(name, 0.0), now.timestamp())
        for name, account in accounts.items()
    }


def _one(
    connection: sa.Connection,
    account: VendorSettings,
    total: traffic.Traffic | None,
    clock_ahead: float,
    now: float,
) -> VendorStanding:
    total = total or traffic.Traffic()
    state = breaker.standing(connection, account.name)
    lately = traffic.within(connection, account.name, now - account.file.retry.budget_seconds, now)
    return VendorStanding(
        breaker=state.state,
        open_seconds=max(0.0, now - state.opened_at) if state.opened_at else 0.0,
        calls=total.calls,
        retries=total.retries,
        failures=total.failures,
        waited_seconds=round(total.waited, 3),
        lately_calls=lately.calls,
        lately_retries=lately.retries,
        rate=_rate(connection, account, now),
        clock_ahead_seconds=clock_ahead,
    )


def _rate(connection: sa.Connection, account: VendorSettings, now: float) -> float:
    rings = Rings(connection, account.file.slowdown, 0.0, now)
    found = (rings.find(f"{account.name}:{limit.name}", limit) for limit in account.file.limits)
    return round(min((rings.share(ring) for ring in found if ring), default=1.0), 3)


def _totals(connection: sa.Connection) -> dict[str, traffic.Traffic]:
    columns = [traffic_table.c[name] for name in ("calls", "retries", "failures", "waited")]
    query = sa.select(traffic_table.c.vendor, *map(sa.func.sum, columns)).group_by(traffic_table.c.vendor)
    return {
        vendor: traffic.Traffic(int(calls), int(retries), int(failures), float(waited))
        for vendor, calls, retries, failures, waited in connection.execute(query)
    }


def _clocks(connection: sa.Connection, now: datetime) -> dict[str, float]:
    rows = connection.execute(sa.select(vendor_clock))
    return {row.vendor: row.seconds for row in rows if now - parse(row.at) <= SKEW_LASTS}
