"""Reports: counted in the database in one consistent read, by whoever asks and by the schedules; kept as they were.

What happened within the period is counted by when we learnt of it. What became of people is counted of those who were
first written to in it, until now: answers take days, and a share needs to be of the people it is counted among.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta

import sqlalchemy as sa
from pydantic import TypeAdapter

from orchestrator.app import App
from orchestrator.comparing import against_targets, trials_of
from orchestrator.periods import Period, PeriodName, last_whole
from orchestrator.punctual import punctuality
from orchestrator.rates import rate
from orchestrator.report_data import Count, Moment, Report, TierRow
from orchestrator.results import Cell, cohort, total
from orchestrator.rules import Rules
from shared.clock import iso, parse
from shared.kernel import Kernel
from shared.pipeline_schema import report as report_table
from shared.sql import run, value

REPORT = TypeAdapter(Report)
TIERS = ("tier_1", "tier_2", "tier_3", "tier_4", "disqualified")
FOUND = "SELECT COUNT(*) FROM lead WHERE created_at >= ? AND created_at < ?"
SCORED = """SELECT l.tier AS name, COUNT(*) AS n FROM run r JOIN run_lead l ON l.run_id = r.id
 WHERE r.started_at >= ? AND r.started_at < ? AND l.tier <> '' GROUP BY l.tier"""
OUTCOMES = """SELECT status AS name, COUNT(*) AS n FROM effect
 WHERE settled_at >= ? AND settled_at < ? GROUP BY status ORDER BY status"""
OPEN_EFFECTS = "SELECT COUNT(*) FROM effect WHERE status = 'in_doubt'"
REPLIES = """SELECT class AS name, COUNT(*) AS n FROM reply
 WHERE at >= ? AND at < ? GROUP BY class ORDER BY n DESC, class"""
HANDED = "SELECT COUNT(*) FROM handoff WHERE created_at >= ? AND created_at < ?"
STOPPED = """SELECT COUNT(*) FROM stop WHERE kind IN ('person', 'domain') AND at >= ? AND at < ?"""
HALTS = "SELECT COUNT(*) FROM halt WHERE at >= ? AND at < ?"
COURSE = """SELECT substr(received_at, 1, {length}) AS name, COUNT(*) AS n FROM event
 WHERE type = ? AND received_at >= ? AND received_at < ? GROUP BY substr(received_at, 1, {length})"""
EARLY = """SELECT COUNT(*) FROM (SELECT DISTINCT e.campaign_id, e.lead_id FROM event e
  JOIN campaign c ON c.id = e.campaign_id JOIN run r ON r.id = c.run_id AND r.mode = 'live'
 WHERE e.type = 'sent' AND e.received_at >= ? AND e.received_at < ? AND e.step <= 1 AND e.lead_id <> '') s"""
DAY, HOUR = 10, 13  # characters of a time


async def make(app: App, period: Period) -> Report:
    """A report of it, as things are now."""
    return await made(app.kernel, app.rules, period)


async def made(kernel: Kernel, rules: Rules, period: Period) -> Report:
    """As `make`, for whoever has no vendors open."""
    return await kernel.store.read(lambda c: report_in(c, kernel, rules, period))


async def keep(app: App, name: PeriodName, occasion: str) -> str:
    """Make and keep the report of the last whole period before an occasion; one that is kept stays. Its title."""
    period = last_whole(name, parse(occasion), app.rules.schedules.zone)
    found = await make(app, period)
    values = {"data": REPORT.dump_json(found).decode(), "made_at": found.made_at, "title": found.title}
    mine = (report_table.c.period == name, report_table.c.begins == found.begins)

    def change(connection: sa.Connection) -> None:
        if connection.execute(sa.select(report_table.c.made_at).where(*mine)).scalar() is None:
            row = sa.insert(report_table).values(period=name, begins=found.begins, **values)
            connection.execute(row)

    await app.kernel.store.write(change)
    return found.title


async def kept(kernel: Kernel, limit: int = 100) -> list[tuple[PeriodName, str, str, str]]:
    """What was kept, the newest first: period, first moment, title, when it was made."""
    columns = (report_table.c.period, report_table.c.begins, report_table.c.title, report_table.c.made_at)
    query = sa.select(*columns).order_by(report_table.c.begins.desc(), report_table.c.period).limit(limit)
    rows = await kernel.store.read(lambda c: c.execute(query).all())
    return [(row[0], row[1], row[2], row[3]) for row in rows]


async def kept_one(kernel: Kernel, name: str, begins: str) -> Report | None:
    """A kept one."""
    query = sa.select(report_table.c.data).where(
        report_table.c.period == name, report_table.c.begins == begins
    )
    data = await kernel.store.read(lambda c: c.execute(query).scalar())
    return REPORT.validate_json(data) if data else None


# ── counting ─────────────────────────────────────────────────────────────────────────────────────────────
def report_in(connection: sa.Connection, kernel: Kernel, rules: Rules, period: Period) -> Report:
    """In the caller's transaction."""
    now, begins, ends = kernel.clock.now(), iso(period.begins), iso(period.ends)
    planning, z = rules.outreach.planning, rules.outreach.planning.z
    automatic = kernel.settings.safety.halts.negative_replies.automatic
    cells = cohort(connection, begins, ends, positive=planning.positive, automatic=automatic)
    scored = {str(row["name"]): int(row["n"]) for row in run(connection, SCORED, begins, ends)}
    lately = iso(max(period.begins, now - timedelta(days=planning.answer_days)))
    early = int(value(connection, EARLY, lately, ends)) if lately < ends else 0
    return Report(
        period=period.name,
        title=period.title,
        begins=begins,
        ends=ends,
        made_at=iso(now),
        over=now >= period.ends,
        early=rate(early, total(cells).people, z),
        funnel=tuple(_funnel(connection, scored, cells, begins, ends)),
        outcomes=_counts(connection, OUTCOMES, begins, ends),
        tiers=tuple(_tiers(scored, cells, z)),
        replies=_counts(connection, REPLIES, begins, ends),
        punctuality=tuple(punctuality(connection, rules.routing.response_times, begins, ends, now)),
        targets=tuple(against_targets(cells, rules.outreach.targets, z)),
        trials=tuple(trials_of(cells, z)),
        course=tuple(_course(connection, period)),
        safety=tuple(_safety(connection, begins, ends)),
    )


def _counts(connection: sa.Connection, sql: str, *values: object) -> tuple[Count, ...]:
    return tuple(Count(str(row["name"]), int(row["n"])) for row in run(connection, sql, *values))


def _funnel(
    connection: sa.Connection, scored: dict[str, int], cells: Sequence[Cell], begins: str, ends: str
) -> Iterator[Count]:
    everybody = total(cells)
    yield Count("found", int(value(connection, FOUND, begins, ends)))
    yield Count("scored", sum(scored.values()))
    yield Count("qualified", sum(count for tier, count in scored.items() if tier != "disqualified"))
    yield Count("written to", everybody.people)
    yield Count("delivered", everybody.people - min(everybody.bounced, everybody.people))
    yield Count("replied", everybody.replied)
    yield Count("positive", everybody.positive)
    yield Count("handed to a person", int(value(connection, HANDED, begins, ends)))


def _tiers(scored: dict[str, int], cells: Iterable[Cell], z: float) -> Iterator[TierRow]:
    listed = list(cells)
    for tier in TIERS:
        mine = total(cell for cell in listed if cell.tier == tier)
        replied = rate(mine.replied, mine.people, z)
        yield TierRow(tier, scored.get(tier, 0), mine.people, replied, rate(mine.positive, mine.people, z))


def _course(connection: sa.Connection, period: Period) -> Iterator[Moment]:
    """Hour by hour or day by day, those without anything too; in UTC, as what is stored."""
    length = HOUR if period.name == "daily" else DAY
    step = timedelta(hours=1) if period.name == "daily" else timedelta(days=1)
    sql = COURSE.format(length=length)
    span = (iso(period.begins), iso(period.ends))
    sent, replied = (
        {str(row["name"]): int(row["n"]) for row in run(connection, sql, kind, *span)}
        for kind in ("sent", "replied")
    )
    moment, seen = period.begins, ""
    while moment < period.ends:
        name = iso(moment)[:length]
        if name != seen:
            yield Moment(name, sent.get(name, 0), replied.get(name, 0))
        seen, moment = name, moment + step


def _safety(connection: sa.Connection, begins: str, ends: str) -> Iterator[Count]:
    yield Count("people and companies stopped", int(value(connection, STOPPED, begins, ends)))
    yield Count("halts by a rule", int(value(connection, HALTS, begins, ends)))
    yield Count("effects in doubt now", int(value(connection, OPEN_EFFECTS)))
