"""What past campaigns taught, by segment, words, objection, title and hour: counts, rates, intervals, and from where.

Live campaigns of the last `history_days` (outreach.yaml), each person once per campaign. Nothing is remembered apart
from what happened: a lesson is counted anew whenever somebody asks.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import sqlalchemy as sa

from orchestrator.rates import Rate, rate
from orchestrator.results import By, Cell, cohort, total
from orchestrator.rules import Rules
from orchestrator.titles import department, seniority
from shared.clock import iso
from shared.kernel import Kernel
from shared.sql import run

About = Literal["segment", "template", "objection", "title", "send_window"]
ABOUT: tuple[About, ...] = ("segment", "template", "objection", "title", "send_window")
SOURCES = 5  # campaigns that are named
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
WINDOW_HOURS = 4
APART: Mapping[About, By] = {"title": "title", "send_window": "hour"}
OBJECTIONS = """SELECT p.class, p.campaign_id, COUNT(DISTINCT p.lead_id) AS people FROM reply p
  JOIN campaign c ON c.id = p.campaign_id JOIN run r ON r.id = c.run_id AND r.mode = 'live'
 WHERE p.at >= ? AND p.lead_id <> '' GROUP BY p.class, p.campaign_id"""


@dataclass(frozen=True, slots=True)
class Lesson:
    """What became of people who have something in common. Shares of those written to, an objection's of who replied."""

    name: str
    people: int
    replied: Rate
    positive: Rate
    unsubscribed: Rate
    campaigns: int
    sources: tuple[str, ...]  # ids of campaigns, those with the most people first


async def lessons(kernel: Kernel, rules: Rules, about: About) -> list[Lesson]:
    """All lessons about something, the most people first."""
    return await kernel.store.read(lambda c: lessons_in(c, kernel, rules, about))


def lessons_in(connection: sa.Connection, kernel: Kernel, rules: Rules, about: About) -> list[Lesson]:
    """In the caller's transaction."""
    z = rules.outreach.planning.z
    if about == "objection":
        return _objections(connection, _since(kernel, rules), z)
    named = _named(rules)[about]
    return learnt(cells_in(connection, kernel, rules, APART.get(about, "variant")), named, z)


def cells_in(connection: sa.Connection, kernel: Kernel, rules: Rules, by: By) -> list[Cell]:
    """Everybody written to within the history."""
    automatic = kernel.settings.safety.halts.negative_replies.automatic
    positive, until = rules.outreach.planning.positive, iso(kernel.clock.now())
    since = _since(kernel, rules)
    return cohort(connection, since, until, positive=positive, automatic=automatic, by=by)


def _since(kernel: Kernel, rules: Rules) -> str:
    return iso(kernel.clock.now() - timedelta(days=rules.outreach.planning.history_days))


def learnt(cells: Iterable[Cell], named: Callable[[Cell], str], z: float) -> list[Lesson]:
    """One lesson for each name. Pure."""
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(named(cell), []).append(cell)
    found = [_lesson(name, rows, z) for name, rows in groups.items() if name]
    return sorted(found, key=lambda one: (-one.people, one.name))


def _lesson(name: str, rows: Sequence[Cell], z: float) -> Lesson:
    everybody = total(rows)
    of_campaign: dict[str, int] = {}
    for row in rows:
        of_campaign[row.campaign_id] = of_campaign.get(row.campaign_id, 0) + row.people
    sources = sorted(of_campaign, key=lambda one: (-of_campaign[one], one))
    replied, positive, unsubscribed = (
        rate(count, everybody.people, z)
        for count in (everybody.replied, everybody.positive, everybody.unsubscribed)
    )
    return Lesson(
        name, everybody.people, replied, positive, unsubscribed, len(sources), tuple(sources[:SOURCES])
    )


def _named(rules: Rules) -> Mapping[About, Callable[[Cell], str]]:
    zone = rules.schedules.zone

    def window(cell: Cell) -> str:
        if not cell.variant:
            return ""
        moment = datetime.fromisoformat(f"{cell.variant}:00").replace(tzinfo=UTC).astimezone(zone)
        first = moment.hour // WINDOW_HOURS * WINDOW_HOURS
        return f"{DAYS[moment.weekday()]} {first:02}-{first + WINDOW_HOURS:02} {rules.schedules.timezone}"

    def template(cell: Cell) -> str:
        return f"{cell.type}, variant {cell.variant}" if cell.variant else ""

    return {
        "segment": lambda cell: f"{cell.type}, {cell.tier}",
        "template": template,
        "title": lambda cell: f"{seniority(cell.variant)}, {department(cell.variant) or 'unknown'}",
        "send_window": window,
    }


def _objections(connection: sa.Connection, since: str, z: float) -> list[Lesson]:
    """Answers by class: so many people gave it, of all answers."""
    people: dict[str, dict[str, int]] = {}
    for row in run(connection, OBJECTIONS, since):
        people.setdefault(str(row["class"]), {})[str(row["campaign_id"])] = int(row["people"])
    everybody, none = sum(sum(by.values()) for by in people.values()), rate(0, 0, z)
    found = []
    for name, by in people.items():
        sources, count = sorted(by, key=lambda one: (-by[one], one)), sum(by.values())
        share = rate(count, everybody, z)
        found.append(Lesson(name, count, share, none, none, len(by), tuple(sources[:SOURCES])))
    return sorted(found, key=lambda one: (-one.people, one.name))
