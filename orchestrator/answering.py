"""Approved answers go out: each once, through the gate, with the approval of exactly its words.

approved ─ sent | simulated | in_doubt | failed | refused
         └ what passes by itself (kill switch, pause, cap, under way) ─▶ approved still, tried again
"""

import sqlalchemy as sa

from orchestrator.answers import Row, as_message
from orchestrator.app import App
from orchestrator.later import Later
from shared.audit import Entry, append
from shared.effect import Outcome
from shared.errors import InDoubt, NotSent, Retryable, SwarmError
from shared.pipeline_schema import answer
from shared.telemetry import correlated, logger

log = logger("answering")
AT_ONCE = 20
PASSES = frozenset(
    {"log_unavailable", "kill_switch", "halted", "read_only", "paused", "budget", "limit", "in_flight"}
)
WORDS = {"applied": "sent", "replayed": "sent", "simulated": "simulated", "in_doubt": "in_doubt"}


async def work(app: App, waits: Later) -> int:
    """Send what is approved. Returns how many ended."""
    query = sa.select(answer).where(answer.c.state == "approved").order_by(answer.c.at).limit(AT_ONCE)
    rows = await app.kernel.store.read(lambda c: list(c.execute(query)))
    ended = 0
    for row in [one for one in rows if waits.due(str(one.id))]:
        with correlated():
            if await _send(app, row):
                waits.forget(str(row.id))
                ended += 1
            else:
                waits.put_off(str(row.id))
    return ended


async def _send(app: App, row: Row) -> bool:
    try:
        outcome = await app.suite.sequencer.send_reply(reply=as_message(row), approval=str(row.approval_id))
    except (Retryable, NotSent) as error:
        log.warning("answer.not_sent", code=error.code)
        return False
    except InDoubt as error:
        outcome = Outcome("in_doubt", error.code)
    except SwarmError as error:
        outcome = Outcome("failed", error.code or error.kind)
    if outcome.status == "refused" and outcome.reason in PASSES:
        return False
    state = WORDS.get(outcome.status, outcome.status)

    def change(connection: sa.Connection) -> None:
        mine = sa.update(answer).where(answer.c.id == row.id, answer.c.state == "approved")
        connection.execute(mine.values(state=state, reason=outcome.reason))
        entry = Entry(f"answer.{state}", str(row.id), {"reason": outcome.reason})
        append(connection, [entry], app.kernel.clock.now())

    await app.kernel.store.write(change)
    return True
