"""How effects ended: what was answered becomes an outcome, written with its audit entry in one transaction."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from shared import ledger
from shared.audit import Entry, append
from shared.budgets import Budgets
from shared.claim import Batch, entry
from shared.clock import Clock
from shared.effect import Effect, Json, Outcome, Receipt, canonical
from shared.errors import Conflict, InDoubt, Invalid, Retryable, SwarmError
from shared.ledger import OPEN, Ending, Row, find
from shared.sql import run
from shared.telemetry import correlation, logger

log = logger("settlement")
Ended = Mapping[str, Receipt | SwarmError]
UNKNOWN = InDoubt("the answer did not tell", code="unknown")
PROCESS_GONE = "process_gone"
BY_HAND = "by_hand"  # the reason of what a person settled
GONE = "the process that tried it ended before it knew the answer"


@dataclass(frozen=True, slots=True, eq=False)
class Landing:
    """A submission that is over, and how. It may have to wait for the database before it can be written."""

    batch: Batch
    ended: Ended
    otherwise: SwarmError = UNKNOWN  # for what `ended` doesn't tell of

    def outcomes(self) -> dict[str, Outcome]:
        """Key → outcome, for what was claimed."""
        return {key: outcome(key, self.ended.get(key, self.otherwise)) for key in self.batch.claimed}


class Settlement:
    """Writes endings. Runs on the store's writer thread."""

    def __init__(self, clock: Clock, budgets: Budgets) -> None:
        self._clock = clock
        self._budgets = budgets
        self.logged = 0  # entries in the audit log, as of the last one from here

    def land(self, connection: sa.Connection, landing: Landing) -> dict[str, Outcome]:
        """Give the lease back and write how each ended. Only now is it known what the claim had claimed."""
        batch = landing.batch
        run(connection, "DELETE FROM lease WHERE id=?", batch.lease)
        outcomes = landing.outcomes()
        effects = {key: batch.effects[key] for key in outcomes}
        self.write(connection, effects, batch.claimed, outcomes)
        return outcomes

    def write(
        self,
        connection: sa.Connection,
        effects: Mapping[str, Effect],
        attempts: Mapping[str, int],
        outcomes: Mapping[str, Outcome],
    ) -> set[str]:
        """Settle these attempts, give back what was not used, and tell the log. Returns the keys that were open."""
        now = self._clock.now()
        endings = [_ending(outcomes[key], attempts[key]) for key in effects]
        claimed_at = ledger.settle(connection, endings, now)
        unused = [(effects[k], at[:10]) for k, at in claimed_at.items() if outcomes[k].status == "failed"]
        self._budgets.give_back(connection, unused)
        entries = []
        for key, effect in effects.items():
            ended = outcomes[key]
            # An answer that came when the row was settled already changes nothing, and is not hidden either.
            kind = f"effect.{ended.status}" if key in claimed_at else "effect.late"
            said = {"reason": ended.reason, "reference": ended.reference}
            entries.append(entry(kind, effect, said))
        self.logged = append(connection, entries, now) or self.logged
        return set(claimed_at)

    def doubt(self, connection: sa.Connection, rows: Sequence[Row]) -> None:
        """Those that a dead process had claimed are in doubt from now on."""
        left = [row for row in rows if row.status == "claimed"]
        effects = {row.key: row.effect for row in left}
        outcomes = {row.key: Outcome("in_doubt", PROCESS_GONE, GONE, key=row.key) for row in left}
        if effects:
            self.write(connection, effects, {row.key: row.attempts for row in left}, outcomes)

    def resolve(
        self,
        connection: sa.Connection,
        key: str,
        busy: Callable[[sa.Connection, Row], bool],
        applied: bool,
        actor: str,
        reason: str,
    ) -> Outcome:
        """What a named person found out about an effect in doubt, in the ledger and in the log."""
        row = find(connection, key)
        if row is None:
            raise Invalid("there is no effect of this key", field="key", code="not_found")
        if row.status not in OPEN:
            raise Conflict(
                f"this effect isn't in doubt: it is {row.status}", field="key", code="not_in_doubt"
            )
        if busy(connection, row):
            raise Conflict("its process is still at it", field="key", code="in_flight")
        said = Outcome("applied" if applied else "failed", BY_HAND, reason, key=key)
        self.write(connection, {key: row.effect}, {key: row.attempts}, {key: said})
        told: dict[str, Json] = {"as": said.status, "reason": reason, "was": row.reason}
        told_of = Entry("effect.resolved", row.effect.target, {"key": key, **told}, actor)
        self.logged = append(connection, [told_of], self._clock.now())
        return said


def outcome(key: str, ended: object) -> Outcome:
    """What a perform function answered for one effect; what is neither receipt nor error tells nothing."""
    cid = correlation()
    if isinstance(ended, Receipt):
        return Outcome("applied", "", "", _text(ended.reference), _plain(ended.detail), key, cid)
    error = ended if isinstance(ended, SwarmError) else UNKNOWN
    if isinstance(error, InDoubt):
        return Outcome("in_doubt", error.code or "in_doubt", error.message, key=key, correlation_id=cid)
    code = error.code or ("retry_later" if isinstance(error, Retryable) else error.kind)
    again: dict[str, Json] = {"retry_after": error.retry_after} if error.retry_after else {}
    return Outcome("failed", code, error.message, detail=again, key=key, correlation_id=cid)


def _ending(outcome: Outcome, attempt: int) -> Ending:
    assert outcome.status in {"applied", "failed", "in_doubt"}
    return Ending(
        outcome.key,
        attempt,
        outcome.status,
        outcome.reason,
        outcome.message,
        outcome.reference,
        outcome.detail,
    )


def _text(value: object) -> str:
    """A reference that the database takes, whatever a server made of the vendor's answer."""
    return str(value).encode("utf-8", "replace").decode()


def _plain(detail: Mapping[str, Json]) -> Mapping[str, Json]:
    """The detail if it can be written down; an unwritable one must not cost us the receipt."""
    if not detail:
        return {}
    try:
        canonical(dict(detail))
    except (TypeError, ValueError, RecursionError):
        log.warning("settlement.detail_dropped")
        return {}
    return detail
