"""How much: daily budgets and caps that really stop, shared by all processes.

    credits:clay                 what effects cost at a vendor account
    effects:instantly.add_lead   effects of one kind
    mails:instantly              mails that mailboxes will send; the cap grows with their age (`rampup.py`)
    domain:1f2e…                 people of one company who are written to; keyed, so that it names nobody

Counted in the transaction that claims, and given back, exactly, in the one that settles what certainly didn't happen,
on the day it was claimed. A day is a day in UTC: it has 24 hours whatever the clocks on the wall do. Its count isn't
forgotten, so a clock that jumps over midnight and back finds what was spent before.
"""

import hashlib
import hmac
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import sqlalchemy as sa

from shared.address import read_address
from shared.clock import Clock, iso
from shared.effect import Effect
from shared.errors import Invalid
from shared.rampup import allowance
from shared.schema import halt, pause
from shared.settings import Settings
from shared.sql import run, value
from shared.store import Store
from shared.switches import MAILBOX

SPENT = "SELECT amount FROM spend WHERE name=? AND day=?"
SPEND = (
    "INSERT INTO spend (name, day, amount) VALUES (?, ?, ?) ON CONFLICT (name, day) DO UPDATE SET "
    "amount = CASE WHEN spend.amount + ? < 0 THEN 0 ELSE spend.amount + ? END"
)
EVERYTHING = "everything"  # a day that counts as spent, whatever was counted
KEY_CHARACTERS = 24


@dataclass(frozen=True, slots=True)
class BudgetState:
    """Credits of one vendor account today. `limit` -1: none set."""

    limit: int
    spent: int
    day: str


@dataclass(slots=True)
class _Day:
    """What was spent on a day, as one transaction sees it, with what it adds."""

    connection: sa.Connection
    day: str
    known: dict[str, int] = field(default_factory=dict)
    added: Counter[str] = field(default_factory=Counter)
    caps: dict[str, int | None] = field(default_factory=dict)

    def spent(self, name: str) -> int:
        if name not in self.known:
            self.known[name] = _spent(self.connection, name, self.day)
        return self.known[name] + self.added[name]


class Budgets:
    """What may be spent in a day, and what was."""

    def __init__(self, store: Store, clock: Clock, settings: Settings, pepper: bytes) -> None:
        self._store = store
        self._clock = clock
        self._caps = settings.safety.caps
        self._ramp_up = settings.safety.ramp_up
        self._free_mail = frozenset(settings.safety.free_mail)
        self._pepper = pepper
        account = settings.vendors.get(self._ramp_up.vendor)
        # An emulator's mailboxes have no reputation to lose.
        self._ramped = f"mails:{self._ramp_up.vendor}" if account and not account.sandbox else ""

    def spend(
        self,
        connection: sa.Connection,
        effects: Sequence[Effect],
        exempt: Callable[[Effect], bool],
        *,
        really: bool = True,
    ) -> dict[str, str]:
        """In the claim's transaction: count effects and credits. Key → reason, for those that are over a cap.

        Not `really`: only say who would be over. `exempt`: what stops somebody is never held back by a cap.
        """
        day = _Day(connection, self.day())
        over: dict[str, str] = {}
        for effect in effects:
            costs = self._costs(effect)
            if reason := "" if exempt(effect) else self._over(day, effect, costs):
                over[effect.key] = reason
            else:
                for name, amount in costs.items():
                    day.added[name] += amount
        if really:
            for name, amount in day.added.items():
                _add(connection, name, day.day, amount)
        return over

    def _over(self, day: _Day, effect: Effect, costs: dict[str, int]) -> str:
        """Why an effect may not be paid for, or ""."""
        if self._caps.also_mail and effect.vendor_action in self._caps.also_mail:
            costs = {name: amount for name, amount in costs.items() if not name.startswith("mails:")}
        for name, amount in costs.items():
            if name not in day.caps:
                day.caps[name] = self._cap(day.connection, name)
            cap = day.caps[name]
            if cap is not None and (day.spent(EVERYTHING) or day.spent(name) + amount > cap):
                return "budget" if name.startswith("credits:") else "limit"
        return ""

    def give_back(self, connection: sa.Connection, effects: Iterable[tuple[Effect, str]]) -> None:
        """In the settling transaction: what certainly did not happen cost nothing on the day it was claimed."""
        totals: dict[str, Counter[str]] = {}
        for effect, day in effects:
            totals.setdefault(day, Counter()).update(self._costs(effect))
        for day, amounts in totals.items():
            for name, amount in amounts.items():
                _add(connection, name, day, -amount)

    def count_as_spent(self, connection: sa.Connection) -> None:
        """After a restore: nobody knows what was spent since the backup, so nothing more with a cap is, today."""
        _add(connection, EVERYTHING, self.day(), 1)

    def day(self) -> str:
        """The day that budgets count by, in UTC."""
        return self._clock.now().date().isoformat()

    async def credits(self, vendor: str) -> BudgetState:
        """Credits of a vendor account today."""
        name, day = f"credits:{vendor}", self.day()
        spent = await self._store.read(lambda c: _spent(c, name, day))
        cap = self._caps.credits_per_day.get(vendor)
        return BudgetState(-1 if cap is None else cap, spent, day)

    # ── what it costs, and what there is ─────────────────────────────────────────────────────────────────
    def _costs(self, effect: Effect) -> dict[str, int]:
        """What an effect counts against."""
        action, caps = effect.vendor_action, self._caps
        costs = {f"effects:{action}": 1}
        if effect.cost:
            costs[f"credits:{effect.vendor}"] = effect.cost
        if action in caps.sending or action in caps.also_mail:
            costs[f"mails:{effect.vendor}"] = _mails(effect)
        if action in caps.sending and caps.people_per_domain:
            costs |= {f"domain:{key}": 1 for key in self._companies(effect)}
        return costs

    def _companies(self, effect: Effect) -> set[str]:
        """The companies of those it reaches, as keys; a free-mail domain is none."""
        found = set()
        for person in effect.people:
            try:
                company = read_address(person).registrable
            except Invalid:
                continue  # the gate refuses it for that; here it only isn't counted
            if company not in self._free_mail:
                keyed = hmac.new(self._pepper, f"company/{company}".encode(), hashlib.sha256).hexdigest()
                found.add(keyed[:KEY_CHARACTERS])
        return found

    def _cap(self, connection: sa.Connection, name: str) -> int | None:
        kind, _, what = name.partition(":")
        if name == self._ramped:
            return self._mails_today(connection)
        if kind == "domain":
            return self._caps.people_per_domain
        per_day = {"credits": self._caps.credits_per_day, "effects": self._caps.effects_per_day}
        return per_day.get(kind, {}).get(what)

    def _mails_today(self, connection: sa.Connection) -> int:
        now = self._clock.now()
        since = iso(now - timedelta(days=self._ramp_up.step_back_days))
        lately = sa.select(halt.c.id).where(
            halt.c.rule.in_(self._ramp_up.step_back_on), halt.c.action != "alert", halt.c.at > since
        )
        held_back = connection.execute(lately.limit(1)).first() is not None
        stands = sa.or_(pause.c.until == "", pause.c.until > iso(now))
        scopes = connection.execute(sa.select(pause.c.scope).where(pause.c.scope.startswith(MAILBOX), stands))
        silent = {scope.removeprefix(MAILBOX).lower() for scope in scopes.scalars()}
        return allowance(self._ramp_up, now.date(), held_back=held_back, silent=silent)


def _mails(effect: Effect) -> int:
    """Mails that a vendor sends because of it, at once or over weeks: an enrolment has all its messages with it.

    Counted on the day of the enrolment, they add up to what the mailboxes send on a day once sequences overlap.
    """
    messages = effect.content.get("messages")
    return max(1, len(messages)) if isinstance(messages, list | tuple) else 1


def _spent(connection: sa.Connection, name: str, day: str) -> int:
    return value(connection, SPENT, name, day) or 0


def _add(connection: sa.Connection, name: str, day: str, amount: int) -> None:
    run(connection, SPEND, name, day, max(0, amount), amount, amount)
