"""The one door: may this effect happen, and once. Nothing else mints the permit that a write needs.

    switches → approval → suppression → limits → safe mode → claim      one transaction, fail closed
    → permit → perform (network, outside the transaction) → settle + audit

    known key      what the gate does
    applied        replays the first receipt
    claimed        by a living process: refuses, it is under way; by a dead one: in doubt
    in_doubt       looks at the vendor: there → applied; certainly not there → may be tried again;
                   can't be told, or nothing to look with → stays in doubt, for a person
    failed, refused, simulated     decided anew
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal, Protocol

import anyio
import sqlalchemy as sa

from shared import ledger
from shared.approval import Approvals
from shared.audit import Audit, Entry, append
from shared.clock import Clock, parse
from shared.effect import REASONS, Effect, Outcome, Receipt
from shared.errors import Conflict, InDoubt, Invalid, NotSent, Retryable, SwarmError
from shared.limits import Limits
from shared.presence import Presence
from shared.schema import lease
from shared.settings import SafetyFile
from shared.store import Store, Unavailable
from shared.suppression import Suppression
from shared.switches import Safety, Switches, standing
from shared.telemetry import correlated, correlation, logger

log = logger("gate")
MAX_BATCH = 1_000
ORDER = list(REASONS)
WAIT_FOR_LEASE = 0.02  # seconds between looks while all W calls are out


class Permit:
    """Leave to make one write. Only the gate makes one; `ApiClient.write` takes it and spends it."""

    def __init__(self, gate: "Gate", effect: Effect, *, paced: bool) -> None:
        self._gate = gate
        self.effect = effect
        self.paced = paced  # its place in the vendor's rate limit is reserved
        self._spent = False

    def spend(self) -> None:
        """Use it; a second use is a bug and raises."""
        if self._spent:
            raise RuntimeError("a permit allows one write")
        self._spent = True

    async def again(self) -> "Permit":
        """For one more request of the same effect. Raises `InDoubt` when a stop came in between."""
        if await self._gate.stopped(self.effect):
            raise InDoubt("stopped half-way: part of it may be done", code="stopped")
        return Permit(self._gate, self.effect, paced=False)

    async def still_allowed(self) -> None:
        """Before trying once more what certainly had no effect. Raises `NotSent` when a stop came in between."""
        if await self._gate.stopped(self.effect):
            raise NotSent("stopped before it was sent", code="stopped")


Perform = Callable[[Permit], Awaitable[Receipt]]
Ended = Mapping[str, Receipt | SwarmError]
PerformMany = Callable[[Mapping[str, Permit]], Awaitable[Ended]]


class Lookup(Protocol):
    """Asks the vendor: a receipt if it holds the effect, None if it certainly doesn't; raises if it can't tell."""

    async def __call__(self, effect: Effect, /) -> Receipt | None:
        """Look."""
        ...


Verdict = Literal["go", "done", "look", "wait"]


@dataclass(slots=True)
class Decision:
    """What a claim decided about one effect."""

    verdict: Verdict
    outcome: Outcome | None = None
    row: ledger.Row | None = None
    at: float = 0.0  # wait: until this moment; 0: for a lease


@dataclass(slots=True)
class _Batch:
    """One submission under way."""

    effects: Mapping[str, Effect]
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    looked: set[str] = field(default_factory=set)
    paced: bool = False
    lease: str = ""


class Gate:
    """Every external effect passes here. Built by `kernel.py`."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        presence: Presence,
        switches: Switches,
        approvals: Approvals,
        suppression: Suppression,
        limits: Limits,
        audit: Audit,
        rules: SafetyFile,
    ) -> None:
        self._store = store
        self._clock = clock
        self._presence = presence
        self._switches = switches
        self._approvals = approvals
        self._suppression = suppression
        self._limits = limits
        self._audit = audit
        self._rules = rules
        self._calls = 0

    async def submit(self, effect: Effect, perform: Perform, lookup: Lookup | None = None) -> Outcome:
        """Let one effect happen at most once. Raises `Conflict` for a known key with other content."""

        async def perform_many(permits: Mapping[str, Permit]) -> Ended:
            return {effect.key: await perform(permits[effect.key])}

        return (await self.submit_batch([effect], perform_many, lookup))[0]

    async def submit_batch(
        self, effects: Sequence[Effect], perform_many: PerformMany, lookup: Lookup | None = None
    ) -> list[Outcome]:
        """Let one request carry many effects: one transaction admits them, each has its own outcome.

        `perform_many` gets the permits of those admitted and answers a receipt or an error per key; a key it
        leaves out is in doubt. At most 1,000 effects, no key twice.
        """
        batch = _Batch({effect.key: effect for effect in effects})
        if len(batch.effects) != len(effects) or len(effects) > MAX_BATCH:
            raise Invalid(f"a batch has up to {MAX_BATCH} effects, each with a key of its own", field="effects")
        with correlated():
            try:
                admitted = await self._admit(batch, lookup)
                if admitted:
                    await self._carry_out(batch, admitted, perform_many)
                await self._audit.checkpoint_if_due()
            except Unavailable:
                log.exception("gate.log_unavailable")
                for key in batch.effects.keys() - batch.outcomes.keys():
                    batch.outcomes[key] = _refused(key, "log_unavailable")
            return [batch.outcomes[effect.key] for effect in effects]

    async def stopped(self, effect: Effect) -> bool:
        """Whether a stop that covers this effect came since it was admitted."""
        safety = await self._switches.now()
        return not effect.stops and (
            safety.killed or standing(safety, effect.vendor, effect.campaign) is not None
        )

    # ── deciding ─────────────────────────────────────────────────────────────────────────────────────────
    async def _admit(self, batch: _Batch, lookup: Lookup | None) -> list[Effect]:
        """Claim until every effect is either admitted or has an outcome."""
        while True:
            decisions = await self._store.write(lambda c: self._claim(c, batch))
            self._note(batch, decisions)
            if doubtful := [d.row for d in decisions.values() if d.verdict == "look" and d.row]:
                await self._look(batch, doubtful, lookup)
                continue
            waits = [d.at for d in decisions.values() if d.verdict == "wait"]
            if not waits:
                return [batch.effects[key] for key, d in decisions.items() if d.verdict == "go"]
            if max(waits):
                await self._limits.wait_until(max(waits))
            else:
                batch.paced = False  # the reserved moment would be past by the time there is room
                await self._clock.sleep(WAIT_FOR_LEASE)

    @staticmethod
    def _note(batch: _Batch, decisions: Mapping[str, Decision]) -> None:
        for key, decision in decisions.items():
            if decision.outcome is not None:
                batch.outcomes[key] = decision.outcome

    def _claim(self, connection: sa.Connection, batch: _Batch) -> dict[str, Decision]:
        """The one transaction: everything is read and, if it may go, written here."""
        undecided = {key: e for key, e in batch.effects.items() if key not in batch.outcomes}
        known = ledger.find_many(connection, list(undecided))
        decisions = {key: self._recall(effect, known.get(key), batch) for key, effect in undecided.items()}
        open_ones = [undecided[key] for key, d in decisions.items() if d.verdict == "go"]
        safety = self._switches.state(connection)
        entries: list[Entry] = []
        admitted: list[Effect] = []
        for effect, reason in self._reasons(connection, safety, open_ones):
            if reason:
                decisions[effect.key] = self._record(connection, effect, known, "refused", reason, entries)
            elif safety.safe_mode:
                decisions[effect.key] = self._record(connection, effect, known, "simulated", "safe_mode", entries)
            else:
                admitted.append(effect)
        if any(d.verdict == "look" for d in decisions.values()):
            admitted = self._hold_back(admitted, decisions)  # one look first, then all go together
        if admitted:
            self._let_in(connection, batch, admitted, known, decisions, entries)
        append(connection, entries, self._clock.now())
        return decisions

    @staticmethod
    def _hold_back(admitted: list[Effect], decisions: dict[str, Decision]) -> list[Effect]:
        for effect in admitted:
            decisions.pop(effect.key)
        return []

    def _recall(self, effect: Effect, row: ledger.Row | None, batch: _Batch) -> Decision:
        """What the ledger already knows of this key."""
        if row is None or row.status in {"refused", "simulated"}:
            return Decision("go", row=row)
        if row.fingerprint != effect.fingerprint and row.status != "failed":
            raise Conflict(
                "this was done or tried before with other content; use a new intent or idempotency key",
                field="idempotency_key",
                code="conflict",
            )
        if row.status == "applied":
            return Decision("done", row.outcome("replayed"), row)
        if row.status == "claimed" and self._presence.alive(row.process):
            return Decision("done", _refused(effect.key, "in_flight"), row)
        if row.status in ledger.OPEN:
            if effect.repeatable:
                return Decision("go", row=row)
            if row.key in batch.looked:
                return Decision("done", row.outcome("in_doubt"), row)
            return Decision("look", row=row)
        return Decision("go", row=row)

    def _reasons(
        self, connection: sa.Connection, safety: Safety, effects: Sequence[Effect]
    ) -> list[tuple[Effect, str]]:
        """Each effect with the most serious reason against it, or ""."""
        asked = [address for effect in effects if not effect.stops for address in effect.recipients]
        suppressed = self._suppression.check(connection, asked)
        found = []
        for effect in effects:
            against = {self._switched_off(safety, effect)}
            if self._approvals.needed(effect):
                against.add(self._approvals.check(connection, effect))
            if not effect.stops:
                against.update(suppressed.get(address, "") for address in effect.recipients)
            found.append((effect, min(against - {""}, key=ORDER.index, default="")))
        return found

    @staticmethod
    def _switched_off(safety: Safety, effect: Effect) -> str:
        if safety.read_only:
            return "read_only"
        if effect.stops:
            return ""
        if safety.killed:
            return "kill_switch"
        pause = standing(safety, effect.vendor, effect.campaign)
        return "" if pause is None else {"halt": "halted"}.get(pause.kind, "paused")

    def _record(
        self,
        connection: sa.Connection,
        effect: Effect,
        known: Mapping[str, ledger.Row],
        status: Literal["refused", "simulated"],
        reason: str,
        entries: list[Entry],
    ) -> Decision:
        """Write down a proposal that went no further."""
        now = self._clock.now()
        row = known.get(effect.key)
        if row is None or row.status not in ledger.OPEN:
            ledger.put(connection, effect, row, now, status=status, reason=reason, message=_sentence(reason))
        entries.append(_entry(f"effect.{status}", effect, {"reason": reason}))
        outcome = Outcome(
            status, reason, _sentence(reason), key=effect.key, correlation_id=correlation()
        )
        return Decision("done", outcome, row)

    def _let_in(
        self,
        connection: sa.Connection,
        batch: _Batch,
        admitted: Sequence[Effect],
        known: Mapping[str, ledger.Row],
        decisions: dict[str, Decision],
        entries: list[Entry],
    ) -> None:
        """Budget, rate limit and lease, and then the claim itself."""
        now = self._clock.now()
        if (wait := self._room(connection, batch, admitted[0])) is not None:
            decisions.update({effect.key: Decision("wait", at=wait) for effect in admitted})
            return
        for effect in admitted:
            if reason := self._limits.spend(connection, effect):
                decisions[effect.key] = self._record(connection, effect, known, "refused", reason, entries)
                continue
            if self._approvals.needed(effect):
                self._approvals.use(connection, effect)
            row = known.get(effect.key)
            ledger.put(connection, effect, row, now, status="claimed", process=self._presence.id)
            entries.append(_entry("effect.claimed", effect, {}))
            decisions[effect.key] = Decision("go", row=row)
        if any(d.verdict == "go" for d in decisions.values()):
            self._take_lease(connection, batch, admitted[0])

    def _room(self, connection: sa.Connection, batch: _Batch, effect: Effect) -> float | None:
        """None if the call may go now; else until when to wait, 0 for a lease."""
        now = self._clock.now().timestamp()
        if not effect.stops:
            out = sa.select(sa.func.count()).select_from(lease).where(lease.c.until > now)
            if (connection.execute(out).scalar() or 0) >= self._rules.concurrent_calls:
                return 0.0
        if not batch.paced:
            at = self._limits.reserve(connection, effect.vendor)
            batch.paced = True
            if at > now + 0.005:
                return at
        return None

    def _take_lease(self, connection: sa.Connection, batch: _Batch, effect: Effect) -> None:
        self._calls += 1
        batch.lease = f"{self._presence.id}/{self._calls}"
        until = (self._clock.now() + timedelta(seconds=self._rules.call_deadline_seconds)).timestamp()
        values = {"process": self._presence.id, "what": f"{effect.vendor}.{effect.action}", "until": until}
        connection.execute(sa.insert(lease).values(id=batch.lease, **values))

    # ── looking ──────────────────────────────────────────────────────────────────────────────────────────
    async def _look(self, batch: _Batch, rows: Sequence[ledger.Row], lookup: Lookup | None) -> None:
        """Settle by evidence what is in doubt; what can't be told stays in doubt."""
        batch.looked.update(row.key for row in rows)
        if lookup is None:
            await self._store.write(lambda c: self._doubt(c, rows))
            return
        async with anyio.create_task_group() as tasks:
            for row in rows:
                tasks.start_soon(self.look, row, lookup)

    async def look(self, row: ledger.Row, lookup: Lookup) -> Outcome:
        """Ask the vendor about one doubtful effect, and settle it if the answer is evidence."""
        try:
            receipt = await lookup(row.effect)
            if receipt is None and (ahead := self._unsettled_for(row)) > 0:
                await self._clock.sleep(ahead)  # the old request may still be on its way
                receipt = await lookup(row.effect)
        except SwarmError as error:
            await self._store.write(lambda c: self._doubt(c, [row]))
            log.warning("gate.cant_tell", key=row.key[:12], vendor=row.effect.vendor, code=error.code)
            return row.outcome("in_doubt")
        ended: Receipt | SwarmError = receipt or NotSent("the vendor does not have it", code="not_there")
        return (await self._store.write(lambda c: self._settle(c, {row.key: row.effect}, {row.key: ended})))[
            row.key
        ]

    def _unsettled_for(self, row: ledger.Row) -> float:
        """Seconds until a vendor that doesn't show the effect may be believed."""
        tried = parse(row.claimed_at) if row.claimed_at else self._clock.now()
        waited = (self._clock.now() - tried).total_seconds()
        return self._rules.settle_seconds - waited

    def _doubt(self, connection: sa.Connection, rows: Sequence[ledger.Row]) -> None:
        now = self._clock.now()
        for row in rows:
            if row.status == "claimed":
                ledger.settle(connection, row.key, now, status="in_doubt", reason="process_gone")
                append(connection, [_entry("effect.in_doubt", row.effect, {"reason": "process_gone"})], now)

    # ── doing ────────────────────────────────────────────────────────────────────────────────────────────
    async def _carry_out(self, batch: _Batch, admitted: Sequence[Effect], perform_many: PerformMany) -> None:
        """Perform within the deadline, then settle; a settlement is never cut short."""
        permits = {effect.key: Permit(self, effect, paced=True) for effect in admitted}
        ended: Ended = {}
        try:
            with anyio.fail_after(self._rules.call_deadline_seconds):
                ended = await perform_many(permits)
        except TimeoutError:
            late = InDoubt("no answer within the deadline", code="deadline")
            ended = dict.fromkeys(permits, late)
        except SwarmError as error:
            ended = dict.fromkeys(permits, error)
        except Exception:
            # A bug of ours after the request may have left: what happened outside is unknown.
            log.exception("gate.perform_failed")
        finally:
            with anyio.CancelScope(shield=True):
                effects = {effect.key: effect for effect in admitted}
                outcomes = await self._store.write(lambda c: self._finish(c, effects, ended, batch.lease))
                batch.outcomes.update(outcomes)

    def _finish(
        self, connection: sa.Connection, effects: Mapping[str, Effect], ended: Ended, lease_id: str
    ) -> dict[str, Outcome]:
        connection.execute(sa.delete(lease).where(lease.c.id == lease_id))
        return self._settle(connection, effects, ended)

    def _settle(
        self, connection: sa.Connection, effects: Mapping[str, Effect], ended: Ended
    ) -> dict[str, Outcome]:
        """Write how each ended, and tell the log, in one transaction."""
        now = self._clock.now()
        unknown = InDoubt("the answer did not tell", code="unknown")
        outcomes: dict[str, Outcome] = {}
        entries: list[Entry] = []
        for key, effect in effects.items():
            outcome = _outcome(key, ended.get(key, unknown))
            receipt = Receipt(outcome.reference, outcome.detail) if outcome.done else None
            values = {"status": outcome.status, "reason": outcome.reason, "message": outcome.message}
            if ledger.settle(connection, key, now, receipt=receipt, **values):
                if outcome.status == "failed":
                    self._limits.give_back(connection, effect)
                payload = {"reason": outcome.reason, "reference": outcome.reference}
                entries.append(_entry(f"effect.{outcome.status}", effect, payload))
            outcomes[key] = outcome
        append(connection, entries, now)
        return outcomes


def _outcome(key: str, ended: Receipt | SwarmError) -> Outcome:
    cid = correlation()
    if isinstance(ended, Receipt):
        return Outcome("applied", "", "", ended.reference, ended.detail, key, cid)
    if isinstance(ended, InDoubt):
        return Outcome("in_doubt", ended.code or "in_doubt", ended.message, key=key, correlation_id=cid)
    code = ended.code or ("retry_later" if isinstance(ended, Retryable) else ended.kind)
    return Outcome("failed", code, ended.message, key=key, correlation_id=cid)


def _refused(key: str, reason: str) -> Outcome:
    return Outcome("refused", reason, _sentence(reason), key=key, correlation_id=correlation())


def _sentence(reason: str) -> str:
    return REASONS.get(reason, "Safe mode: nothing was sent." if reason == "safe_mode" else reason)


def _entry(kind: str, effect: Effect, payload: Mapping[str, str]) -> Entry:
    return Entry(
        kind,
        effect.target,
        {
            "key": effect.key,
            "vendor": effect.vendor,
            "action": effect.action,
            "fingerprint": effect.fingerprint,
            "campaign": effect.campaign,
            "approval": effect.approval,
            **payload,
        },
    )
