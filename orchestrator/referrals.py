"""Whom an answer names: a proposal, until a person takes them in as a new lead of their own, or doesn't.

answer ─ names somebody ─▶ offered ─ a person takes them in ─▶ taken: a lead that is scored, written for and approved
                                  └ a person doesn't want to ─▶ declined, and forgotten      as any other, by itself

Who it is was written by somebody outside. Whether they may be written to is asked each time it is shown, and once
more in the transaction that takes them in; no tool reaches that, and no campaign gets another member by it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import sqlalchemy as sa

from orchestrator import forgotten, stops
from orchestrator.accounts import need
from orchestrator.app import App
from orchestrator.colleagues import Named, people_in, usable
from orchestrator.identity import addresses_of, lead_of_address
from orchestrator.intake import know_as, read_lead, write_lead
from orchestrator.normalise import merge, to_lead
from orchestrator.replies import Classified
from orchestrator.rules import ReplyClass
from shared.address import read_address, registrable
from shared.approval import Person
from shared.audit import Entry, append
from shared.clock import iso
from shared.effect import Json, digest
from shared.errors import Conflict, Invalid
from shared.lead import Lead
from shared.pipeline_schema import referral, reply
from shared.ports import SourcedLead
from shared.schema import account

REFERRING = frozenset[ReplyClass]({"referral", "left_company"})
MOST_SHOWN = 200
ERASED = "they were erased, and aren't taken in again"
WHY_NOT = {
    "suppressed": "they are on the do-not-contact list",
    "company": "their company is on the do-not-contact list",
    "unclear_opt_out": "they may have opted out, and nobody has decided yet",
    "look_alike": "this address passes for another one",
}
Row = sa.Row[tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class Offer:
    """Somebody whom an answer names, as it stands now. `refused`: why they can't be taken in, or ""."""

    id: str
    event_id: str
    email: str  # empty where the answer names no address: a person finds it out
    name: str
    state: str
    refused: str
    known: bool  # they are a lead already
    taken_as: str
    decided_by: str


# ── proposing ────────────────────────────────────────────────────────────────────────────────────────────
def named_in(text: str, found: Classified | None) -> tuple[Named, ...]:
    """Whom an answer names, if it is a referral by its class or beside it."""
    if found is None or REFERRING.isdisjoint((found.reply, *found.also)):
        return ()
    return people_in(text)


def propose_in(
    app: App, connection: sa.Connection, reply_id: str, people: Sequence[Named], now: datetime
) -> int:
    """In the caller's transaction, once the answer is stored: keep whom it names. Returns how many are new."""
    row = connection.execute(sa.select(reply).where(reply.c.event_id == reply_id)).one_or_none()
    if row is None or not people:
        return 0
    return sum(_propose(app, connection, row, number, one, now) for number, one in enumerate(people))


def _propose(app: App, connection: sa.Connection, row: Row, number: int, one: Named, now: datetime) -> bool:
    identifier = digest("referral/v1", str(row.event_id), number)[:24]
    known = connection.execute(sa.select(referral.c.id).where(referral.c.id == identifier)).scalar()
    if known or _is_ours(app, connection, row, one.email):
        return False
    values = {"email": one.email, "first_name": one.first_name, "last_name": one.last_name}
    if one.email and _is_erased(app, connection, one.email):
        values = {"state": "erased"}
    about = {"id": identifier, "event_id": row.event_id, "lead_id": row.lead_id, "at": iso(now)}
    connection.execute(sa.insert(referral).values(**about, **values))
    return True


def _is_ours(app: App, connection: sa.Connection, row: Row, email: str) -> bool:
    """Whether it is whoever wrote, one of our mailboxes or somebody at their domains, or one of our own people."""
    if not email:
        return False
    address = read_address(email)
    writers = addresses_of(connection, str(row.email), str(row.lead_id)) if row.email or row.lead_id else ()
    ours = [read_address(one) for one in (*app.rules.outreach.sender.mailboxes, row.mailbox) if one]
    if address.broad in {read_address(one).broad for one in writers} | {one.broad for one in ours}:
        return True
    if address.registrable in {one.registrable for one in ours} - app.rules.free_mail:
        return True
    mine = sa.select(account.c.id).where(account.c.email == address.exact)
    return connection.execute(mine).scalar() is not None


def _is_erased(app: App, connection: sa.Connection, email: str) -> bool:
    return not forgotten.without_in(app.kernel, connection, [SourcedLead(email=email)])


# ── showing ──────────────────────────────────────────────────────────────────────────────────────────────
def offers_in(app: App, connection: sa.Connection, event_ids: Sequence[str] = ()) -> list[Offer]:
    """Who is named by these answers; without any, whoever waits for a person, the newest first."""
    wanted = referral.c.event_id.in_(event_ids) if event_ids else referral.c.state == "offered"
    query = sa.select(referral).where(wanted).order_by(referral.c.at.desc(), referral.c.id)
    return [
        Offer(
            row.id,
            row.event_id,
            row.email,
            f"{row.first_name} {row.last_name}".strip(),
            row.state,
            _refused(app, connection, row.email) if row.state == "offered" else "",
            bool(row.email and lead_of_address(connection, row.email)),
            row.taken_as,
            row.decided_by,
        )
        for row in connection.execute(query.limit(MOST_SHOWN))
    ]


def _refused(app: App, connection: sa.Connection, email: str) -> str:
    """Why nobody may be written to there, in words, or ""."""
    if not email:
        return ""
    why = app.kernel.suppression.check(connection, [email]).get(email, "")
    if why == "suppressed" and not app.kernel.suppression.opted_out(connection, [email]):
        why = "company"
    if not why and _is_erased(app, connection, email):
        return ERASED
    return WHY_NOT.get(why, why.replace("_", " "))


# ── deciding ─────────────────────────────────────────────────────────────────────────────────────────────
async def take(app: App, referral_id: str, *, person: Person, email: str = "") -> str:
    """Take them in as a lead; `email` where the answer names no address. Returns our id of them.

    Asked again, it is the same one. Raises `Invalid` for who may not, and for somebody who must not be written to;
    `Conflict` for one that somebody declined.
    """
    need(person, "approve")

    def change(connection: sa.Connection) -> str:
        row = _row(connection, referral_id)
        if row.state == "taken":
            return str(row.taken_as)
        if row.state != "offered":
            raise Conflict(f"this was {row.state} before", code="decided")
        answer = connection.execute(sa.select(reply).where(reply.c.event_id == row.event_id)).one_or_none()
        address = _address(app, connection, row, answer, email)
        found, new = _lead(app, connection, row, str(answer.email) if answer else "", address)
        write_lead(connection, found, iso(app.kernel.clock.now()), "sourced" if new else "")
        know_as(connection, found.id, [f"email:{found.email}"])
        stops.follow_in(app.kernel, connection, [found.id])
        _decide(app, connection, row, person, "taken", email=found.email, taken_as=found.id)
        return found.id

    return await app.kernel.store.write(change)


async def decline(app: App, referral_id: str, *, person: Person) -> bool:
    """Nobody wants to write to them: who it was is forgotten. True if that is new. Raises as `take`."""
    need(person, "approve")

    def change(connection: sa.Connection) -> bool:
        row = _row(connection, referral_id)
        if row.state == "taken":
            raise Conflict(f"{row.decided_by} has taken them in before", code="decided")
        if row.state != "offered":
            return False
        _decide(app, connection, row, person, "declined", email="", first_name="", last_name="")
        return True

    return await app.kernel.store.write(change)


def _row(connection: sa.Connection, referral_id: str) -> Row:
    row = connection.execute(sa.select(referral).where(referral.c.id == referral_id)).one_or_none()
    if row is None:
        raise Invalid("nobody was named under this id", field="referral", code="not_found")
    return row


def _address(app: App, connection: sa.Connection, row: Row, answer: Row | None, given: str) -> str:
    """Where they are written to, if that may be. The answer's own address isn't exchanged for another."""
    address = str(row.email) or usable(given.strip())
    if not address:
        raise Invalid("an e-mail address is needed", field="email", code="no_email")
    if answer is not None and _is_ours(app, connection, answer, address):
        raise Invalid("this is their own address, or one of ours", field="email", code="own_address")
    if why := _refused(app, connection, address):
        raise Invalid(f"not taken in: {why}", field="email", code="suppressed")
    return address


def _lead(app: App, connection: sa.Connection, row: Row, written_by: str, email: str) -> tuple[Lead, bool]:
    """Who it is, with who named them; whoever is known gets one more source. True if they are new."""
    now = iso(app.kernel.clock.now())
    by = read_lead(connection, str(row.lead_id)) if row.lead_id else None
    sighting = SourcedLead(
        email=email,
        first_name=str(row.first_name),
        last_name=str(row.last_name),
        source_type="referral",
        source_name=written_by or (by.email if by else ""),
    )
    sighting = replace(sighting, **_company(app, by, email))  # type: ignore[arg-type]  # text fields
    new = to_lead(sighting, batch=str(row.event_id), collected_at=now, data_source="referral")
    known = read_lead(connection, lead_of_address(connection, email))
    return (merge(known, new), False) if known else (new, True)


def _company(app: App, by: Lead | None, email: str) -> dict[str, str]:
    """What an address says of the company; of a colleague, what is known of theirs."""
    domain = registrable(read_address(email).domain)
    if domain in app.rules.free_mail:
        return {}
    theirs = registrable(by.company_domain) if by and by.company_domain else ""
    return {"company_domain": domain, "company": by.company if by and theirs == domain else ""}


def _decide(app: App, connection: sa.Connection, row: Row, person: Person, state: str, **values: str) -> None:
    now = app.kernel.clock.now()
    values |= {"state": state, "decided_by": person.name, "decided_at": iso(now)}
    connection.execute(sa.update(referral).where(referral.c.id == row.id).values(**values))
    payload: dict[str, Json] = {"event": str(row.event_id), "lead": values.get("taken_as", "")}
    append(connection, [Entry(f"referral.{state}", str(row.id), payload, person.name)], now)
