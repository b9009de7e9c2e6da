"""Deciding whether effects may happen: everything is read and, if they may, written in one transaction.

known key      what is decided
applied        replays the first receipt
claimed        by a living process: refused, it is under way; by a dead one: in doubt
in_doubt       look at the vendor first; looked already and not told → stays in doubt, for a person
failed, refused, simulated     decided anew
other content  refused as a conflict, except after a failure, a refusal or a simulation

Safe mode simulates. But what only stops somebody or something is really done wherever this installation has really
acted before: people there get mail from campaigns that a simulated stop would leave running.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from typing import Literal

import sqlalchemy as sa

from shared import ledger
from shared.approval import Approvals
from shared.audit import Entry, append
from shared.breaker import Breaker
from shared.budgets import Budgets
from shared.clock import Clock, iso
from shared.effect import REASONS, Effect, Json, Outcome
from shared.errors import Invalid
from shared.ledger import Proposal, Row
from shared.limits import LONGEST_WAIT, Limits, Place
from shared.presence import Presence
from shared.safety_rules import SafetyFile
from shared.sql import insertion, run, value
from shared.suppression import Suppression
from shared.switches import Safety, Switches, standing
from shared.telemetry import correlation
from shared.tracing import Attributes

ORDER = {reason: rank for rank, reason in enumerate(REASONS)}
LEASE = insertion("lease", ("id", "process", "what", "until"))
REACH = f"{insertion('reached', ('vendor', 'base_url', 'at'))} ON CONFLICT DO NOTHING"
REACHED = "SELECT 1 FROM reached WHERE vendor=? AND base_url=?"
MAX_BATCH = 1_000
Verdict = Literal["go", "done", "look", "wait"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided about one effect. `at`: wait until then; 0 waits for another call to end."""

    verdict: Verdict
    outcome: Outcome | None = None
    row: Row | None = None
    at: float = 0.0


GO = Decision("go")


@dataclass(slots=True)
class Batch:
    """One submission under way."""

    effects: Mapping[str, Effect]
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    looked: set[str] = field(default_factory=set)
    claimed: dict[str, int] = field(
        default_factory=dict
    )  # key → which attempt; set by the transaction itself
    place: Place | None = None  # in the vendor's rate limit
    lease: str = ""
    until: float = 0.0  # when the call must be over, in seconds since 1970

    @property
    def first(self) -> Effect:
        """Any of its effects: they share vendor and request."""
        return next(iter(self.effects.values()))

    @property
    def spanned(self) -> tuple[str, Attributes]:
        """What a trace says of it while it lasts: name and attributes of its span."""
        vendor, action = self.first.vendor, self.first.action
        told: Attributes = {
            "swarm.vendor": vendor,
            "swarm.operation": action,
            "swarm.effects": len(self.effects),
        }
        return f"effect {vendor} {action}", told

    @property
    def ended(self) -> Attributes:
        """What a trace says of its end: `applied`, or `applied 3, refused 1`, and the reasons."""
        counts = Counter(outcome.status for outcome in self.outcomes.values())
        several = ", ".join(f"{status} {count}" for status, count in sorted(counts.items()))
        reasons = sorted({outcome.reason for outcome in self.outcomes.values()} - {""})
        outcome = next(iter(counts)) if len(counts) == 1 else several
        return {"swarm.outcome": outcome, "swarm.reason": ", ".join(reasons)}


def batch_of(effects: Sequence[Effect]) -> Batch:
    """One submission of these; `Invalid` for what can't be one."""
    for effect in effects:
        effect.check()
    batch = Batch({effect.key: effect for effect in effects})
    vendors = {effect.vendor for effect in effects}
    if len(batch.effects) != len(effects) or len(effects) > MAX_BATCH or len(vendors) > 1:
        message = f"a batch has up to {MAX_BATCH} effects of one vendor, each with a key of its own"
        raise Invalid(message, field="effects")
    return batch


@dataclass(slots=True)
class _Round:
    """One pass through the transaction."""

    connection: sa.Connection
    batch: Batch
    now: datetime
    known: Mapping[str, Row]
    decisions: dict[str, Decision] = field(default_factory=dict)
    proposals: list[Proposal] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)


class Claims:
    """Asks every check, and claims what none of them refuses. Runs on the store's writer thread."""

    def __init__(
        self,
        *,
        clock: Clock,
        presence: Presence,
        switches: Switches,
        approvals: Approvals,
        suppression: Suppression,
        limits: Limits,
        budgets: Budgets,
        breaker: Breaker,
        rules: SafetyFile,
        addresses: Mapping[str, str],
    ) -> None:
        self._clock = clock
        self._presence = presence
        self._switches = switches
        self._approvals = approvals
        self._suppression = suppression
        self._limits = limits
        self._budgets = budgets
        self._breaker = breaker
        self._rules = rules
        self._addresses = addresses
        self._calls = 0
        self.under_way: set[str] = set()  # keys claimed by this process and not settled yet
        self.logged = 0  # entries in the audit log, as of the last one from here

    def decide(self, connection: sa.Connection, batch: Batch) -> dict[str, Decision]:
        """The one transaction: switches → approval → suppression → safe mode → limits → claim."""
        undecided = {key: e for key, e in batch.effects.items() if key not in batch.outcomes}
        known = ledger.find_many(connection, list(undecided))
        this = _Round(connection, batch, self._clock.now(), known)
        fresh = self._recall(this, undecided)
        safety = self._switches.state(connection)
        against = self.against(connection, safety, fresh)
        self._refuse(this, fresh, against)
        willing = [effect for effect in fresh if effect.key not in against]
        really = {effect.key for effect in willing if self._really(connection, safety, effect)}
        self._simulate(this, [effect for effect in willing if effect.key not in really])
        # One look first, then all go together.
        if not any(d.verdict == "look" for d in this.decisions.values()):
            self._let_in(this, [effect for effect in willing if effect.key in really])
        ledger.put(connection, this.proposals, this.now)
        self.logged = append(connection, this.entries, this.now) or self.logged
        return this.decisions

    # ── what is known ────────────────────────────────────────────────────────────────────────────────────
    def _recall(self, this: _Round, undecided: Mapping[str, Effect]) -> list[Effect]:
        """Decide what the ledger alone decides; returns the rest."""
        fresh = []
        lives: dict[str, bool] = {}
        for key, effect in undecided.items():
            row = this.known.get(key)
            if row is None or row.status in {"refused", "simulated", "failed"}:
                fresh.append(effect)
            elif row.fingerprint != effect.fingerprint:
                self._refuse(this, [effect], {key: "conflict"})
            elif decision := self._remembered(this, effect, row, lives):
                this.decisions[key] = decision
            else:
                fresh.append(effect)
        return fresh

    def _remembered(self, this: _Round, effect: Effect, row: Row, lives: dict[str, bool]) -> Decision | None:
        """What follows from a row that is applied or open; None: it may be sent again."""
        if row.status == "applied":
            return Decision("done", row.outcome("replayed"), row)
        if row.status == "claimed" and self.busy(this.connection, row, lives):
            return Decision("done", refused(row.key, "in_flight"), row)
        if effect.repeatable:
            return None
        if row.key in this.batch.looked:
            return Decision("done", row.outcome("in_doubt"), row)
        return Decision("look", row=row)

    def busy(self, connection: sa.Connection, row: Row, lives: dict[str, bool] | None = None) -> bool:
        """Whether the process that claimed it is still at it."""
        if row.process == self._presence.id:
            return row.key in self.under_way
        lives = {} if lives is None else lives
        if row.process not in lives:
            lives[row.process] = self._presence.alive(connection, row.process)
        return lives[row.process]

    # ── what speaks against it ───────────────────────────────────────────────────────────────────────────
    def against(self, connection: sa.Connection, safety: Safety, effects: Sequence[Effect]) -> dict[str, str]:
        """Key → the most serious reason, for those that may not happen."""
        unapproved = self._approvals.check(connection, effects)
        people = [() if self.stops(effect) else effect.people for effect in effects]
        unreachable = self._suppression.check(connection, list(chain.from_iterable(people)))
        found: dict[str, str] = {}
        for effect, reached in zip(effects, people, strict=True):
            reasons = {self._switched_off(safety, effect), unapproved.get(effect.key, "")}
            reasons.update(unreachable.get(address, "") for address in reached)
            if reason := min(reasons - {""}, key=ORDER.__getitem__, default=""):
                found[effect.key] = reason
        return found

    def stops(self, effect: Effect) -> bool:
        """What needs a person's yes is no stop, whatever it calls itself."""
        return effect.stops and not self._approvals.needed(effect)

    def _switched_off(self, safety: Safety, effect: Effect) -> str:
        if self.stops(effect):
            return "read_only" if safety.read_only else ""
        if safety.killed:
            return "kill_switch"
        pause = standing(safety, effect.vendor, effect.campaign, effect.session, effect.mailboxes)
        halted = pause is not None and pause.kind == "halt"
        if safety.read_only and not halted:
            return "read_only"
        return "" if pause is None else ("halted" if halted else "paused")

    def objection(self, connection: sa.Connection, effect: Effect) -> str:
        """Why an effect that was admitted may not go on, or ""."""
        safety = self._switches.state(connection)
        reason = self.against(connection, safety, [effect]).get(effect.key, "")
        return reason or ("" if self._really(connection, safety, effect) else "safe_mode")

    def _really(self, connection: sa.Connection, safety: Safety, effect: Effect) -> bool:
        """Whether it is done and not simulated: outside safe mode, and a stop where something can be stopped."""
        if not safety.safe_mode:
            return True
        where = (effect.vendor, self._addresses.get(effect.vendor, ""))
        return self.stops(effect) and value(connection, REACHED, *where) is not None

    # ── what is written ──────────────────────────────────────────────────────────────────────────────────
    def _refuse(
        self, this: _Round, effects: Sequence[Effect], reasons: Mapping[str, str], retry_after: float = 0.0
    ) -> None:
        for effect in effects:
            if reason := reasons.get(effect.key):
                self._stopped_here(this, effect, "refused", reason, retry_after)

    def _simulate(self, this: _Round, effects: Sequence[Effect]) -> None:
        """Safe mode: the caps are asked too, and nothing is spent."""
        if not effects:
            return
        over = self._budgets.spend(this.connection, effects, self.stops, really=False)
        self._refuse(this, effects, over)
        for effect in effects:
            if effect.key not in over:
                self._stopped_here(this, effect, "simulated", "safe_mode")

    @staticmethod
    def _stopped_here(
        this: _Round,
        effect: Effect,
        status: Literal["refused", "simulated"],
        reason: str,
        retry_after: float = 0.0,
    ) -> None:
        """Write down a proposal that went no further. The row of one that may be done is left as it is."""
        row = this.known.get(effect.key)
        if row is None or row.status in {"refused", "simulated", "failed"}:
            this.proposals.append(Proposal(effect, row, status, reason, sentence(reason)))
        this.entries.append(entry(f"effect.{status}", effect, {"reason": reason}))
        again: dict[str, Json] = {"retry_after": retry_after} if retry_after else {}
        key, cid = effect.key, correlation()
        outcome = Outcome(status, reason, sentence(reason), detail=again, key=key, correlation_id=cid)
        this.decisions[key] = Decision("done", outcome, row)

    def _let_in(self, this: _Round, effects: Sequence[Effect]) -> None:
        """Rate limit, lease and budget, and then the claim itself."""
        if not effects:
            return
        stopping = all(self.stops(effect) for effect in effects)
        if ahead := self._breaker.ahead(this.connection, this.batch.first.vendor, first=stopping):
            self._refuse(this, effects, {effect.key: "breaker_open" for effect in effects}, round(ahead, 3))
            return
        at = self._room(this, stopping)
        if at is not None and at > self._clock.now().timestamp() + LONGEST_WAIT:
            self._refuse(this, effects, {effect.key: "limit" for effect in effects})
            return
        if at is not None:
            this.decisions.update({effect.key: Decision("wait", at=at) for effect in effects})
            return
        over = self._budgets.spend(this.connection, effects, self.stops)
        self._refuse(this, effects, over)
        self._claim(this, [effect for effect in effects if effect.key not in over])

    def _claim(self, this: _Round, effects: Sequence[Effect]) -> None:
        """Write that these are being done, by whom, for which attempt."""
        if not effects:
            return
        self._approvals.use(this.connection, effects)
        if not all(self.stops(effect) for effect in effects):
            vendor = this.batch.first.vendor
            run(this.connection, REACH, vendor, self._addresses.get(vendor, ""), iso(this.now))
        for effect in effects:
            key = effect.key
            proposal = Proposal(effect, this.known.get(key), "claimed", process=self._presence.id)
            this.proposals.append(proposal)
            this.entries.append(entry("effect.claimed", effect, {}))
            this.decisions[key] = GO
            this.batch.claimed[key] = proposal.attempts
        self.under_way.update(this.batch.claimed)
        self._take_lease(this, effects[0])

    def _room(self, this: _Round, stopping: bool) -> float | None:
        """None if the call may go now; else until when to wait, 0 for another call to end."""
        now, vendor = self._clock.now().timestamp(), this.batch.first.vendor  # the checks took their time
        if not stopping:
            out = value(this.connection, "SELECT count(*) FROM lease WHERE until > ?", now)
            if out >= self._rules.concurrent_calls:
                return 0.0
        place = self._limits.enter(this.connection, vendor, this.batch.place, first=stopping)
        this.batch.place = place
        return None if place.goes else place.at

    def _take_lease(self, this: _Round, effect: Effect) -> None:
        self._calls += 1
        this.batch.lease = f"{self._presence.id}/{self._calls}"
        until = self._clock.now() + timedelta(seconds=self._rules.call_deadline_seconds)
        this.batch.until = until.timestamp()
        values = (this.batch.lease, self._presence.id, effect.vendor_action, this.batch.until)
        run(this.connection, LEASE, *values)


def refused(key: str, reason: str) -> Outcome:
    """A refusal that leaves no trace of its own."""
    return Outcome("refused", reason, sentence(reason), key=key, correlation_id=correlation())


def sentence(reason: str) -> str:
    """A reason in words."""
    return REASONS.get(reason, "Safe mode: nothing was sent." if reason == "safe_mode" else reason)


def entry(kind: str, effect: Effect, payload: Mapping[str, str]) -> Entry:
    """What the audit log keeps of one step of an effect."""
    return Entry(kind, effect.target, effect.told(**payload))
