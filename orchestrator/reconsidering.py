"""A stored reply is looked at again: by today's rules, or with a model's opinion. It only ever ends up stricter.

stored ─ read again ─ a full opt-out ─▶ suppressed     ─ perhaps one ─▶ held, and a person is asked
                    ─ the rules had found nothing, and now something ─▶ that class stands
                    ─ otherwise ─▶ as it was
"""

import json
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa

from orchestrator import handling, referrals, unclear
from orchestrator.app import App
from orchestrator.escalation import escalation_of
from orchestrator.handing_over import About, hand_off_in
from orchestrator.identity import addresses_of
from orchestrator.replies import Classified, action_for, classify, suppresses
from orchestrator.second_opinion import BY_RULES, UNKNOWN, Classifier, Opinion, consider
from shared.audit import Entry, append
from shared.clock import iso, parse
from shared.errors import Invalid
from shared.pipeline_schema import reply
from shared.telemetry import correlated

FRESH = timedelta(days=2)  # what is older was read by people
Row = sa.Row[tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class Again:
    """A stored reply as it is understood now, and whether anything was done about it."""

    found: Classified
    changed: bool
    subject: str
    text: str


def stored(row: Row) -> Classified:
    """The class that is written down."""
    values = row._mapping  # noqa: SLF001 - `class` is no attribute's name
    return Classified(values["class"], row.confidence, row.rule, tuple(json.loads(row.also)))


async def again(app: App, reply_id: str) -> Again:
    """Read a stored reply by today's rules and the opinion that is kept. Raises `Invalid` for an unknown one."""
    row = await app.kernel.store.read(lambda c: _row(c, reply_id))
    found = _read(app, row)
    changed = await app.kernel.store.write(lambda c: tighten_in(app, c, reply_id, found))
    return Again(found, changed, str(row.subject), str(row.text))


def _row(connection: sa.Connection, reply_id: str) -> Row:
    row = connection.execute(sa.select(reply).where(reply.c.event_id == reply_id)).one_or_none()
    if row is None:
        raise Invalid("no reply is stored under this id", field="reply_id", code="not_found")
    return row


def _read(app: App, row: Row) -> Classified:
    found = classify(str(row.subject), str(row.text), received=parse(str(row.at)).date())
    known = Opinion.model_validate_json(str(row.opinion)) if row.opinion else UNKNOWN
    return consider(found, known, app.rules)


def tighten_in(app: App, connection: sa.Connection, reply_id: str, found: Classified) -> bool:
    """In the caller's transaction: what `found` stops and the stored class didn't. True if anything changed."""
    row = _row(connection, reply_id)
    before, now = stored(row), app.kernel.clock.now()
    email, lead_id = str(row.email), str(row.lead_id)
    addresses = addresses_of(connection, email, lead_id) if email or lead_id else ()
    if found.to_confirm and not app.rules.routing.replies[before.reply].suppress:
        handling.carry_out_in(app, connection, addresses, found, now)
        about = About(reply_id, lead_id, str(row.campaign_id), held=True)
        asked = hand_off_in(connection, about, escalation_of(unclear.TRIGGER, app.rules), now)
        return _write(app, connection, reply_id, found) if asked else False
    if suppresses(found, app.rules) and before.reply != found.reply and found.reply != "bounce":
        handling.carry_out_in(app, connection, addresses, found, now)
        return _write(app, connection, reply_id, found)
    # Whoever was held stays so: the handoff that is open for them is decided by a person.
    if before.reply == "unknown" and found.reply not in {"unknown", *BY_RULES}:
        named = referrals.named_in(str(row.text), found)
        referrals.propose_in(app, connection, reply_id, named, now)
        return _write(app, connection, reply_id, found)
    return False


def _write(app: App, connection: sa.Connection, reply_id: str, found: Classified) -> bool:
    values = {
        "class": found.reply,
        "confidence": found.confidence,
        "rule": found.rule,
        "also": json.dumps(list(found.also)),
        "action": action_for(found, app.rules).action,
    }
    connection.execute(sa.update(reply).where(reply.c.event_id == reply_id).values(values))
    entry = Entry("reply.reclassified", reply_id, {"class": found.reply, "rule": found.rule})
    append(connection, [entry], app.kernel.clock.now())
    return True


async def work(app: App, model: Classifier) -> int:
    """Ask the model about replies that the rules didn't decide. Returns how many.

    Asked outside of any transaction, so that no opt-out waits behind a model; an opinion is kept, and not asked twice.
    """
    since = iso(app.kernel.clock.now() - FRESH)
    undecided = (reply.c.opinion == "", reply.c.at > since, reply.c["class"].not_in(sorted(BY_RULES)))
    query = sa.select(reply).where(*undecided).order_by(reply.c.at)
    limit = app.rules.routing.second_opinion.at_once
    rows = await app.kernel.store.read(lambda c: list(c.execute(query.limit(limit))))
    for row in rows:
        with correlated():
            opinion = await model.pick(str(row.subject), str(row.text))
            found = consider(stored(row), opinion, app.rules)

            def change(connection: sa.Connection, row: Row = row, found: Classified = found) -> None:
                mine = sa.update(reply).where(reply.c.event_id == row.event_id)
                connection.execute(mine.values(opinion=opinion.model_dump_json()))  # noqa: B023 - called before the next turn
                tighten_in(app, connection, str(row.event_id), found)

            await app.kernel.store.write(change)
    return len(rows)
