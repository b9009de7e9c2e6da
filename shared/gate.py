"""The one door: may this effect happen, and once. Nothing else mints the permit that a write needs.

    switches → approval → suppression → safe mode → limits → claim      one transaction, fail closed (claim.py)
    → permit → perform (network, outside the transaction) → settle + audit             (settlement.py)

What is in doubt is looked up at the vendor before it is decided again: there → applied; certainly not there →
may be tried again; can't be told, or nothing to look with → stays in doubt, for a person.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
import sqlalchemy as sa

from shared import ledger
from shared.approval import Approvals
from shared.audit import Audit
from shared.breaker import Breaker
from shared.budgets import Budgets
from shared.claim import MAX_BATCH, Batch, Claims, Decision, batch_of, refused, sentence
from shared.clock import Clock
from shared.doubt import Doubts, Lookup
from shared.effect import Effect, Outcome, Receipt
from shared.errors import Conflict, InDoubt, Invalid, NotSent, SwarmError
from shared.limits import Limits
from shared.precedence import going_first
from shared.presence import Presence
from shared.safety_rules import SafetyFile
from shared.settings import VendorSettings
from shared.settlement import Ended, Landing, Settlement, outcome
from shared.spool import OptOutsWait, Spool
from shared.store import Store, Unavailable
from shared.suppression import Suppression
from shared.switches import Switches
from shared.telemetry import correlated, logger
from shared.tracing import Tracing

__all__ = ["MAX_BATCH", "Ended", "Gate", "Lookup", "Perform", "PerformMany", "Permit"]

log = logger("gate")
WAIT_FOR_LEASE = 0.01  # seconds between looks while all W calls are out


class Flight:
    """What the permits of one submission share while it is out. Requests go one after the other."""

    def __init__(self, gate: "Gate", batch: Batch) -> None:
        self.gate = gate
        self.until = batch.until
        self.open = True
        self.paced = True  # the place in the vendor's rate limit is reserved and unused
        self.wire = anyio.Lock()
        self.landed = 0  # writes that the vendor took
        self.doubted = False  # one of them may have been taken
        self.last_landed = False

    def judged(self, error: SwarmError) -> SwarmError:
        """What perform raised, as far as it can be true: nothing failed as a whole of which a part is done.

        `Invalid` right after the only write is the server's word on what the vendor answered to it.
        """
        believed = self.last_landed and isinstance(error, Invalid) and self.landed == 1
        if isinstance(error, InDoubt) or not (self.landed or self.doubted) or (believed and not self.doubted):
            return error
        return InDoubt(f"part of it may be done, and then: {error.message}", code="partly_done")


class Permit:
    """Leave to make one write. Only the gate makes one; `ApiClient.write` takes it and spends it.

    It ends with the submission that it was made for: kept for later, it is worth nothing.
    """

    __slots__ = ("_flight", "_spent", "effect")

    def __init__(self, flight: Flight, effect: Effect) -> None:
        self._flight = flight
        self.effect = effect
        self._spent = False

    @asynccontextmanager
    async def sending(self) -> AsyncIterator[bool]:
        """Use it for what is done inside; yields whether the vendor's rate limit was seen to already.

        A second use, or one after the submission is over, is a bug and raises.
        """
        if self._spent:
            raise RuntimeError("a permit allows one write")
        self._spent = True
        flight = self._flight
        async with flight.wire:
            self._check_open()
            paced, flight.paced, flight.last_landed = flight.paced, False, False
            try:
                yield paced
            except SwarmError as error:
                flight.doubted |= isinstance(error, InDoubt)
                raise
            except BaseException:
                flight.doubted = True
                raise
            flight.landed += 1
            flight.last_landed = True

    def _check_open(self) -> None:
        if not self._flight.open:
            raise RuntimeError("the submission that this permit belongs to is over")

    async def again(self) -> "Permit":
        """For one more request of the same effect. Raises `InDoubt` when a stop came in between."""
        self._check_open()
        if reason := await self._flight.gate.objection(self.effect):
            raise InDoubt(f"stopped half-way, part of it may be done: {sentence(reason)}", code="stopped")
        return Permit(self._flight, self.effect)

    async def clear_to_send(self) -> None:
        """Right before each request, retries included: the database says, just now, that it may still go out.

        Raises `NotSent` when a stop came in between, when the call should be over already, and when the database
        doesn't answer within the lease: a process that can't be told of a stop doesn't call.
        """
        self._check_open()
        await self._flight.gate.confirm(self.effect, self._flight.until)
        self._check_open()

    @property
    def seconds_left(self) -> float:
        """Until its call must be over."""
        return self._flight.until - self._flight.gate.now()


Perform = Callable[[Permit], Awaitable[Receipt]]
PerformMany = Callable[[Mapping[str, Permit]], Awaitable[Ended]]


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
        budgets: Budgets,
        breaker: Breaker,
        audit: Audit,
        spool: Spool,
        rules: SafetyFile,
        vendors: Mapping[str, VendorSettings],
        tracing: Tracing,
    ) -> None:
        self._store = store
        self._spool = spool
        self._suppression = suppression
        self._clock = clock
        self._limits = limits
        self._audit = audit
        self._tracing = tracing
        self._rules = rules
        self._claims = Claims(
            clock=clock,
            presence=presence,
            switches=switches,
            approvals=approvals,
            suppression=suppression,
            limits=limits,
            budgets=budgets,
            breaker=breaker,
            rules=rules,
            addresses={name: vendor.base_url for name, vendor in vendors.items()},
        )
        self._settlement = Settlement(clock, budgets)
        self._doubts = Doubts(
            store=store,
            clock=clock,
            busy=self._claims.busy,
            certain=presence.certain,
            settlement=self._settlement,
            rules=rules,
            vendors=vendors,
        )
        self._turn = anyio.Lock()  # one at a time of those that wait for a call to end
        self._owed: list[Landing] = []  # over, but the database could not be told yet

    async def submit(self, effect: Effect, perform: Perform, lookup: Lookup | None = None) -> Outcome:
        """Let one effect happen at most once. Raises `Conflict` for a known key with other content."""

        async def perform_many(permits: Mapping[str, Permit]) -> Ended:
            return {effect.key: await perform(permits[effect.key])}

        ended = (await self.submit_batch([effect], perform_many, lookup))[0]
        if ended.reason == "conflict" and ended.status == "refused":
            raise Conflict(ended.message, field="idempotency_key", code="conflict")
        return ended

    async def submit_batch(
        self, effects: Sequence[Effect], perform_many: PerformMany, lookup: Lookup | None = None
    ) -> list[Outcome]:
        """Let one request carry many effects: one transaction admits them, each has its own outcome.

        `perform_many` gets the permits of those admitted and answers a receipt or an error per key; a key it
        leaves out is in doubt. At most `MAX_BATCH` effects of one vendor, no key twice.
        """
        batch = batch_of(effects)
        if not batch.effects:
            return []
        with correlated(), self._tracing.span(*batch.spanned) as tell:
            try:
                if await self._admit(batch, lookup):
                    await self._carry_out(batch, perform_many)
            except Unavailable:
                log.exception("gate.log_unavailable")
                left = batch.effects.keys() - batch.outcomes.keys()
                batch.outcomes.update({key: refused(key, "log_unavailable") for key in left})
            await self._audit.checkpoint_if_due(max(self._claims.logged, self._settlement.logged))
            tell(batch.ended)
            return [batch.outcomes[effect.key] for effect in effects]

    def now(self) -> float:
        """Seconds since 1970."""
        return self._clock.now().timestamp()

    async def objection(self, effect: Effect) -> str:
        """Why an effect that was admitted may not go on now, or "": a stop, a suppression, a lapsed approval."""
        await self._take_in()
        return await self._store.read(lambda c: self._claims.objection(c, effect))

    async def confirm(self, effect: Effect, until: float) -> None:
        """Raise `NotSent` unless the effect may go out at this very moment; `until` is when its call must be over.

        An answer of the database is good for `lease_seconds`: later than that, on either clock, somebody may have
        pressed a switch that nobody here has heard of. The machine may have slept, too.
        """
        asked, since, lease = (
            self._clock.now().timestamp(),
            self._clock.monotonic(),
            self._rules.lease_seconds,
        )
        try:
            with anyio.fail_after(lease):
                reason = await self.objection(effect)
        except (Unavailable, TimeoutError) as error:
            message = "the database can't be asked whether it may still be sent"
            raise NotSent(message, code="log_unavailable") from error
        if reason:
            raise NotSent(f"stopped before it was sent: {sentence(reason)}", code="stopped")
        now = self._clock.now().timestamp()
        if now > until or max(now - asked, self._clock.monotonic() - since) > lease:
            raise NotSent("its time was over before it was sent", code="too_late")

    # ── deciding ─────────────────────────────────────────────────────────────────────────────────────────
    async def _admit(self, batch: Batch, lookup: Lookup | None) -> bool:
        """Claim until every effect is either admitted or has an outcome. True if any is admitted."""
        async with AsyncExitStack() as turn:
            waiting = False
            while True:
                decisions = await self._claim(batch)
                batch.outcomes.update({key: d.outcome for key, d in decisions.items() if d.outcome})
                if doubtful := [d.row for d in decisions.values() if d.verdict == "look" and d.row]:
                    batch.looked.update(row.key for row in doubtful)
                    await self._doubts.look_at_all(doubtful, lookup)
                    continue
                waits = [d.at for d in decisions.values() if d.verdict == "wait"]
                if not waits:
                    return bool(batch.claimed)
                if max(waits):
                    await turn.aclose()
                    waiting = False
                    await self._limits.wait_until(max(waits))
                elif waiting:
                    await self._clock.sleep(WAIT_FOR_LEASE)
                else:
                    await turn.enter_async_context(self._turn)
                    waiting = True

    async def _claim(self, batch: Batch) -> dict[str, Decision]:
        """Decide in one transaction, which first writes what is still owed: nothing begins before that is told."""
        while True:
            try:
                return await self._claim_once(batch)
            except OptOutsWait:
                await self._take_in()

    async def _take_in(self) -> None:
        """The list has to know of everybody first who opted out while it couldn't be written."""
        await self._spool.take_in(self._store, self._suppression, self._clock)

    async def _claim_once(self, batch: Batch) -> dict[str, Decision]:
        owed = list(self._owed)
        try:
            decisions = await self._store.write(lambda c: self._decide(c, batch, owed))
        except anyio.get_cancelled_exc_class():
            # The transaction runs all the same; what it claims is let go in the next one.
            await self._land(Landing(batch, {}, NotSent("cancelled before it was sent", code="cancelled")))
            raise
        except BaseException:
            self._claims.under_way.difference_update(batch.claimed)
            batch.claimed.clear()
            raise
        self._paid(owed)
        return decisions

    def _decide(
        self, connection: sa.Connection, batch: Batch, owed: Sequence[Landing]
    ) -> dict[str, Decision]:
        if self._spool.waiting():
            raise OptOutsWait("opt-outs wait to be taken in", code="spool")
        for landing in owed:
            self._settlement.land(connection, landing)
        before, self._claims.logged = self._claims.logged, 0
        decisions = self._claims.decide(connection, batch)
        if self._claims.logged:
            self._audit.refuse_shrunk(self._claims.logged)
        self._claims.logged = self._claims.logged or before
        return decisions

    def _paid(self, landings: Sequence[Landing]) -> None:
        """These are written."""
        for landing in landings:
            self._claims.under_way.difference_update(landing.batch.claimed)
            if landing in self._owed:
                self._owed.remove(landing)

    # ── doubting (doubt.py) ──────────────────────────────────────────────────────────────────────────────
    async def look(self, row: ledger.Row, lookup: Lookup) -> Outcome:
        """Ask the vendor about one doubtful effect, and settle it if the answer is evidence."""
        return await self._doubts.look(row, lookup)

    async def resolve(self, key: str, *, applied: bool, actor: str, reason: str) -> Outcome:
        """Settle by a person's word what nobody else can tell; the caller has checked the role.

        Raises `Invalid` for an unknown key, `Conflict` for one that isn't in doubt, or whose process is still at it.
        """
        return await self._doubts.resolve(key, applied, actor, reason)

    # ── doing ────────────────────────────────────────────────────────────────────────────────────────────
    async def _carry_out(self, batch: Batch, perform_many: PerformMany) -> None:
        """Perform within the deadline, then settle; a settlement is never cut short."""
        flight = Flight(self, batch)
        permits = {key: Permit(flight, batch.effects[key]) for key in batch.claimed}
        ended: Ended = {}
        try:
            stopping = all(self._claims.stops(effect) for effect in batch.effects.values())
            with going_first(stopping), anyio.fail_after(self._rules.call_deadline_seconds):
                ended = await perform_many(permits)
        except TimeoutError:
            ended = dict.fromkeys(permits, InDoubt("no answer within the deadline", code="deadline"))
        except SwarmError as error:
            ended = dict.fromkeys(permits, flight.judged(error))
        except Exception:
            # A bug of ours after the request may have left: what happened outside is unknown.
            log.exception("gate.perform_failed")
        finally:
            flight.open = False
            told = ended if isinstance(ended, Mapping) else {}
            landed = await self._land(Landing(batch, told))
            batch.outcomes.update(landed)
            doubtful = [key for key, how in landed.items() if how.status == "in_doubt"]
            self._doubts.given_up({key: batch.claimed[key] for key in doubtful})

    async def _land(self, landing: Landing) -> dict[str, Outcome]:
        """Write how a submission ended. While the database can't be written, it is in doubt and owed."""
        with anyio.CancelScope(shield=True):
            try:
                outcomes = await self._store.write(lambda c: self._settlement.land(c, landing))
            except Unavailable:
                log.exception("gate.settlement_owed", effects=len(landing.batch.claimed))
                self._owed.append(landing)
                untold = InDoubt(
                    "it was carried out, and could not be written down yet", code="log_unavailable"
                )
                return {key: outcome(key, untold) for key in landing.batch.claimed}
        self._paid([landing])
        return outcomes
