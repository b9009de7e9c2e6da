"""Automatic halts: what vendors tell and what we did is counted, judged by rules, and stops by itself.

observe ─▶ counts ─ judge ─▶ verdict ─▶ halt of a scope · kill switch    sticky: a named person clears it
                                      └▶ alert                              over when its reason is over
cleared ─ what was judged before ─ not judged again
        ├ mailed since, and what came of it  ─ judged by itself ─▶ may stop again
        └ mailed before, and known only now  ─ judged by itself ─▶ may stop again

A verdict is written down before it is carried out, so a crash in between loses nothing: what is written and doesn't
stand is carried out at the next look. Clearing (`Switches.resume`, `Switches.release`) marks it in the same
transaction that lets things move.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa

from shared.audit import Audit, Entry, append
from shared.clock import Clock, iso
from shared.effect import canonical
from shared.observed import observe
from shared.schema import halt
from shared.settings import Settings
from shared.store import Store, Unavailable
from shared.switches import Safety, Switches
from shared.telemetry import logger
from shared.verdicts import EVERYTHING, Case, Verdict, judge

log = logger("halts")
OVER = "over"  # who clears an alert whose reason is over


@dataclass(frozen=True, slots=True)
class Standing:
    """A verdict as it was written down; `reason` states rule, numbers and window."""

    rule: str
    scope: str
    action: str
    at: str
    reason: str

    @property
    def key(self) -> tuple[str, str]:
        """One stands at a time."""
        return self.rule, self.scope

    def in_force(self, safety: Safety) -> bool:
        """Whether the switches say so, too; for an alert there is nothing to be said."""
        if self.action == "halt":
            halts = {pause.scope for pause in safety.pauses if pause.kind == "halt" and not pause.until}
            return self.scope in halts
        return self.action == "alert" or "database" in safety.kill_sources


class Halts:
    """The rules, applied to what is in the database. Any number may look at the same time."""

    def __init__(
        self, store: Store, clock: Clock, switches: Switches, audit: Audit, settings: Settings
    ) -> None:
        self._store = store
        self._clock = clock
        self._switches = switches
        self._audit = audit
        self._rules = settings.safety.halts
        servers = {port: bound.server for port, bound in settings.suite.ports.items()}
        self._crm = servers.get("crm", "")
        self._sequencer = f"vendor:{servers['sequencer']}" if "sequencer" in servers else EVERYTHING

    async def look(self) -> list[Verdict]:
        """Judge, write down what is new, and carry out what doesn't stand yet. Returns what is new.

        Raises `Unavailable`; a kill that can't be written down is carried out all the same.
        """
        found, standing = await self._store.read(lambda c: (self._found(c), _standing(c)))
        new: list[Verdict] = []
        try:
            if _news(found, standing) or _ended(found, standing):
                new = await self._store.write(self._note)
        except Unavailable:
            for verdict in found:
                if verdict.action == "kill":
                    await self._switches.kill(actor=_actor(verdict.rule), reason=verdict.reason)
            raise
        await self._carry_out()
        return new

    async def standing(self) -> list[Standing]:
        """What rules have stopped or told of, and nobody has cleared."""
        return await self._store.read(_standing)

    def _found(self, connection: sa.Connection) -> list[Verdict]:
        now, rules = self._clock.now(), self._rules
        since = iso(now - timedelta(hours=rules.window_hours))
        overdue = iso(now - timedelta(minutes=rules.opt_out_minutes))
        case = Case(
            rules=rules,
            seen=observe(connection, rules, self._crm, since, overdue),
            cleared=_cleared(connection),
            sequencer=self._sequencer,
            crm=f"vendor:{self._crm}",
            lately=iso(now - timedelta(minutes=rules.compliance.window_minutes)),
        )
        return judge(case)

    def _note(self, connection: sa.Connection) -> list[Verdict]:
        """In one transaction, judged anew: another process, or a person who clears, may have been faster."""
        found, standing, now = self._found(connection), _standing(connection), self._clock.now()
        new, ended = _news(found, standing), _ended(found, standing)
        for one in new:
            numbers = canonical(one.numbers).decode()
            values = {"rule": one.rule, "scope": one.scope, "action": one.action, "numbers": numbers}
            connection.execute(sa.insert(halt).values(at=iso(now), **values))
            log.warning("halts.verdict", rule=one.rule, scope=one.scope, action=one.action)
        for over in ended:
            these = (halt.c.rule == over.rule, halt.c.scope == over.scope, halt.c.cleared_at == "")
            connection.execute(sa.update(halt).where(*these).values(cleared_at=iso(now), cleared_by=OVER))
        entries = [Entry(f"rule.{one.action}", one.scope, one.numbers, _actor(one.rule)) for one in new]
        entries += [Entry("rule.over", one.scope, {"rule": one.rule}, _actor(one.rule)) for one in ended]
        append(connection, entries, now)
        return new

    async def _carry_out(self) -> None:
        """What is written down and doesn't stand: just now, or since a process died in between."""
        safety, standing = await self._store.read(lambda c: (self._switches.state(c), _standing(c)))
        for one in standing:
            if one.in_force(safety):
                continue
            if one.action == "kill":
                await self._switches.kill(actor=_actor(one.rule), reason=one.reason)
                await self._audit.checkpoint("kill")
            else:
                await self._switches.pause(one.scope, actor=_actor(one.rule), reason=one.reason, kind="halt")


def _actor(rule: str) -> str:
    return f"rule:{rule}"


def _news(found: Sequence[Verdict], standing: Sequence[Standing]) -> list[Verdict]:
    """What doesn't stand yet."""
    known = {one.key for one in standing}
    return [verdict for verdict in found if verdict.key not in known]


def _ended(found: Sequence[Verdict], standing: Sequence[Standing]) -> list[Standing]:
    """Alerts whose reason is over; whatever stopped something stays until a person clears it."""
    here = {verdict.key for verdict in found}
    return [one for one in standing if one.action == "alert" and one.key not in here]


def _standing(connection: sa.Connection) -> list[Standing]:
    rows = connection.execute(sa.select(halt).where(halt.c.cleared_at == "").order_by(halt.c.id))
    return [Standing(r.rule, r.scope, r.action, r.at, json.loads(r.numbers)["reason"]) for r in rows]


def _cleared(connection: sa.Connection) -> dict[tuple[str, str], str]:
    """When each was cleared the last time."""
    newest = sa.select(halt.c.rule, halt.c.scope, sa.func.max(halt.c.cleared_at)).where(
        halt.c.cleared_at != "", halt.c.action != "alert"
    )
    rows = connection.execute(newest.group_by(halt.c.rule, halt.c.scope))
    return {(rule, scope): at for rule, scope, at in rows}
