"""What the ledger holds of what implement listed for a run, one campaign after the other.

    listed, of one campaign ─ asked for by target ─▶ how each ended: in this run, before it, or not at all
    done in this run        ─ asked for by person ─▶ what nobody listed

Memory doesn't grow with the number of effects: a run may have half a million of them.
"""

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from orchestrator import foreseen
from orchestrator.dossier import ACTIVATE
from orchestrator.foreseen import CREATE, Cast, Foreseen
from shared.pipeline_schema import artefact, campaign_lead, run
from shared.schema import effect

NOT_YET = "not done"
BEFORE = ("replayed", "done before")
LISTABLE = (*foreseen.OF_EACH, CREATE, ACTIVATE)
CHUNK = 500
Place = tuple[str, str]  # action and target, as the ledger knows an effect
Ended = tuple[str, str]  # status and reason
ROW = (
    effect.c.id,
    effect.c.vendor,
    effect.c.action,
    effect.c.target,
    effect.c.campaign,
    effect.c.status,
    effect.c.reason,
    effect.c.correlation_id,
    effect.c.first_at,
)
Row = sa.Row[Any]


@dataclass(frozen=True, slots=True)
class Trace:
    """What the effects of a run are known by, from when implement was first asked for."""

    id: str
    since: str


def trace_of(connection: sa.Connection, run_id: str) -> Trace:
    """The trace of that run, whose implementation was asked for."""
    first = sa.select(sa.func.min(artefact.c.made_at)).where(
        artefact.c.run_id == run_id, artefact.c.phase == "implement"
    )
    trace = sa.select(run.c.correlation_id).where(run.c.id == run_id)
    return Trace(str(connection.execute(trace).scalar()), str(connection.execute(first).scalar()))


def ends(connection: sa.Connection, cast: Cast, trace: Trace) -> Iterator[tuple[Foreseen, Ended]]:
    """Each effect that was listed of this campaign, and how it ended.

    What an earlier run did is not done twice; what nobody has done is `NOT_YET`.
    """
    listed = foreseen.of_campaign(connection, cast, listed=True)
    started = effect.c.campaign == cast.campaign_id, effect.c.action == ACTIVATE.partition(".")[2]
    held, before = _sorted(_rows(connection, *started), trace)
    targets = sorted({one.target for one in listed})
    for start in range(0, len(targets), CHUNK):
        rows = _rows(connection, effect.c.target.in_(targets[start : start + CHUNK]))
        here, done = _sorted(rows, trace)
        held |= here
        before |= done
    for one in listed:
        place = place_of(one)
        yield one, held.get(place) or (BEFORE if place in before else (NOT_YET, ""))


def place_of(one: Foreseen) -> Place:
    """Where the ledger has it. A start goes by our id of the campaign."""
    return one.action, one.campaign_id if one.action == ACTIVATE else one.target


def _rows(connection: sa.Connection, *where: sa.ColumnElement[bool]) -> sa.CursorResult[Row]:
    """By target or campaign alone: whose they are is told from the rows, or SQLite reads the whole run's each time."""
    return connection.execute(sa.select(*ROW).where(*where).order_by(effect.c.first_at))


def _sorted(rows: Iterator[Row], trace: Trace) -> tuple[dict[Place, Ended], set[Place]]:
    """How the run's own effects ended, and what was ever applied."""
    held: dict[Place, Ended] = {}
    applied: set[Place] = set()
    for row in rows:
        if row.correlation_id == trace.id and row.first_at >= trace.since:
            held[_place(row)] = (row.status, row.reason)
        if row.status == "applied":
            applied.add((f"{row.vendor}.{row.action}", row.target))
    return held, applied


def _place(row: Row) -> Place:
    action = f"{row.vendor}.{row.action}"
    return action, row.campaign if action == ACTIVATE else row.target


# ── what nobody listed ───────────────────────────────────────────────────────────────────────────────────
def unlisted(connection: sa.Connection, run_id: str, trace: Trace) -> dict[Place, Ended]:
    """Effects of this run that would have been listed, and weren't."""
    campaigns = {cast.campaign_id for cast in foreseen.casts_in(connection, run_id, listed=True)}
    suspects: dict[Place, Ended] = {}
    after = 0
    while rows := _page(connection, trace, after):
        known = campaigns | _people(connection, campaigns, [row.target for row in rows])
        for row in rows:
            place = _place(row)
            if place[0] in LISTABLE and place[1] not in known:
                suspects[place] = (row.status, row.reason)
        after = rows[-1].id
    # An address may stand in the ledger in another spelling than with the person.
    for one in foreseen.every_one(connection, run_id, listed=True) if suspects else ():
        suspects.pop(place_of(one), None)
    return suspects


def _page(connection: sa.Connection, trace: Trace, after: int) -> list[Row]:
    mine = (effect.c.correlation_id == trace.id, effect.c.first_at >= trace.since, effect.c.id > after)
    return list(connection.execute(sa.select(*ROW).where(*mine).order_by(effect.c.id).limit(CHUNK)))


def _people(connection: sa.Connection, campaigns: Set[str], addresses: Sequence[str]) -> set[str]:
    """Those of these addresses that implement was asked for in one of the campaigns."""
    here = campaign_lead.c
    query = sa.select(here.email, here.campaign_id).where(here.email.in_(addresses), here.listed > 0)
    return {row.email for row in connection.execute(query) if row.campaign_id in campaigns}
