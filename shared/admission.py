"""Before and after each request to one vendor account: may it go out now, and how did it end.

    before   the operation's own attempts ─ the breaker ─ the budget of retries ─ the rate limit
    after    answered, or failed ─▶ the breaker

Everything that is shared with other processes is in the database; only attempts are remembered here, since an operation
is carried out by one process at a time.
"""

from collections.abc import Mapping

import anyio
import sqlalchemy as sa

from shared import traffic
from shared.breaker import Breaker, standing
from shared.clock import Clock
from shared.errors import InDoubt, NotSent, Retryable, SwarmError
from shared.limits import LONGEST_WAIT, Limits
from shared.precedence import goes_first
from shared.retry import Attempts, Operation, may_retry
from shared.settings import Settings, VendorSettings
from shared.skew import Skew
from shared.store import Store, Unavailable
from shared.telemetry import logger

log = logger("admission")
TOO_MANY = 429
HEARING_SECONDS = 1.0  # for the database to take what an answer says besides; then it is left out
NOTING_SECONDS = 5.0  # for the database to take how a call ended; then it is left out


def admissions(
    settings: Settings, store: Store, clock: Clock, limits: Limits, breaker: Breaker
) -> dict[str, "Admission"]:
    """Each account's, by its name."""
    lease, differs = settings.safety.lease_seconds, settings.safety.alerts.clock_skew_seconds
    return {
        name: Admission(vendor, lease, store, clock, limits, breaker, Skew(name, store, clock, differs))
        for name, vendor in settings.vendors.items()
    }


class Admission:
    """One vendor account, as this process calls it."""

    def __init__(
        self,
        vendor: VendorSettings,
        patience: float,
        store: Store,
        clock: Clock,
        limits: Limits,
        breaker: Breaker,
        skew: Skew,
    ) -> None:
        self._vendor = vendor
        self._patience = patience  # seconds that a write waits to be told whether it may go
        self._store = store
        self._clock = clock
        self._limits = limits
        self._breaker = breaker
        self._skew = skew
        self._attempts = Attempts(vendor.file.retry)

    # ── before ───────────────────────────────────────────────────────────────────────────────────────────
    async def turn(
        self, operation: Operation, bucket: str, *, again: bool, longest: float = LONGEST_WAIT
    ) -> bool:
        """Wait for a call's turn, and count it. True if it is a probe of a breaker.

        `again`: it is a retry. Raises `NotSent` where it may not go out, and says when to ask again.
        """
        self._check_attempts(operation)
        probing = False

        def goes(connection: sa.Connection) -> None:
            nonlocal probing
            probing = self._breaker.probe(connection, self._vendor.name)

        def check(connection: sa.Connection) -> None:
            self._check(connection, again=again)

        await self._limits.pace(
            self._vendor.name, bucket, again=again, longest=longest, check=check, goes=goes
        )
        return probing

    async def counted(self, operation: Operation) -> bool:
        """The same for a call whose turn the gate has seen to: only the breaker is asked once more."""
        self._check_attempts(operation)
        name = self._vendor.name
        try:
            with anyio.fail_after(self._patience):
                well = await self._store.read(lambda c: standing(c, name).state == "closed")
                probing = not well and await self._store.write(self._probe)
        except (Unavailable, TimeoutError) as error:
            message = "the database can't be asked whether it may still be sent"
            raise NotSent(message, code="log_unavailable") from error
        return probing

    def _probe(self, connection: sa.Connection) -> bool:
        self._check(connection, again=False)
        return self._breaker.probe(connection, self._vendor.name)

    def _check_attempts(self, operation: Operation) -> None:
        if ahead := self._attempts.ahead(operation, self._clock.monotonic()):
            message = "this was tried often enough; the vendor doesn't take it now"
            raise NotSent(message, code="attempts_spent", retry_after=ahead)

    def _check(self, connection: sa.Connection, *, again: bool) -> None:
        """Raise `NotSent` while the account is left alone, and for a retry beyond the budget."""
        name, rules = self._vendor.name, self._vendor.file.retry
        if ahead := self._breaker.ahead(connection, name, first=goes_first()):
            message = "this vendor keeps failing and is left alone for a while"
            raise NotSent(message, code="breaker_open", retry_after=ahead)
        if again and not goes_first():
            now = self._clock.now().timestamp()
            if not may_retry(rules, traffic.within(connection, name, now - rules.budget_seconds, now)):
                message = "too many calls to this vendor are being tried again already"
                raise NotSent(message, code="retry_budget", retry_after=rules.longest_seconds)

    # ── after ────────────────────────────────────────────────────────────────────────────────────────────
    async def ended(
        self, operation: Operation, bucket: str, error: SwarmError | None, *, probing: bool
    ) -> None:
        """Note how a call ended, whatever cuts the caller short. That it can't be noted takes nothing from it."""
        failed = isinstance(error, Retryable | InDoubt)
        if failed:
            self._attempts.failed(operation, self._clock.monotonic())
        else:
            self._attempts.answered(operation, self._clock.monotonic())
        if not failed and not probing:
            return
        with anyio.CancelScope(shield=True), anyio.move_on_after(NOTING_SECONDS) as late:
            try:
                await self._note(bucket, error if failed else None)
            except Unavailable:
                log.warning("admission.end_not_noted", vendor=self._vendor.name)
        if late.cancelled_caught:
            log.warning("admission.end_not_noted", vendor=self._vendor.name)

    def cut_short(self, operation: Operation) -> None:
        """A call was given up before it ended: nobody answered it."""
        self._attempts.failed(operation, self._clock.monotonic())

    async def _note(self, bucket: str, error: SwarmError | None) -> None:
        name = self._vendor.name
        if error is None:
            await self._breaker.answered(name)
            return
        await self._breaker.failed(name, error.retry_after)
        if error.status == TOO_MANY:
            await self._limits.block(name, error.retry_after, bucket)

    async def heard(self, bucket: str, headers: Mapping[str, str], sent: float) -> None:
        """What an answer says of limits and clocks. That it can't be written down takes nothing from the answer."""
        with anyio.move_on_after(HEARING_SECONDS):
            try:
                await self._limits.heard(self._vendor.name, bucket, headers, sent)
                await self._skew.heard(headers, sent)
            except Unavailable:
                log.warning("admission.headers_not_noted", vendor=self._vendor.name)
