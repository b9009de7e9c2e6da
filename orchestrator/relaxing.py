"""Letting things go on: releasing the kill switch, leaving safe mode, clearing a stop, lifting a suppression.

stands ─ an admin asks, with a reason ─▶ asked ─ another admin says the same ─▶ goes on
       │                                 └ too late, or turned again meanwhile ─▶ lapsed
       └ one admin is enough (`two_persons`), or alone at the host, told to everybody ─▶ goes on

Everything is decided in the transaction that lets it go on. What was approved before a kill and waited too long goes
back to review in that transaction, too. No tool comes here.
"""

from dataclasses import dataclass
from datetime import timedelta

import anyio.to_thread
import sqlalchemy as sa

from orchestrator import mailboxes
from orchestrator.accounts import need
from orchestrator.requeue import back_to_review_in
from shared.approval import Person
from shared.audit import Entry, append
from shared.clock import iso
from shared.errors import Conflict, Invalid
from shared.foreign import clean
from shared.kernel import Kernel
from shared.schema import account, relaxation
from shared.switches import Pause, Safety

LONGEST_REASON = 500


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to go on, as it stood when it was looked at: another turn of the switch is another matter."""

    what: str  # kill, safe_mode, halt, suppression
    scope: str = ""
    epoch: int = 0
    stood_at: str = ""

    @property
    def where(self) -> tuple[sa.ColumnElement[bool], ...]:
        """Rows about exactly this."""
        table = relaxation.c
        same = (table.scope == self.scope, table.epoch == self.epoch, table.stood_at == self.stood_at)
        return (table.what == self.what, *same)


@dataclass(frozen=True, slots=True)
class Asked:
    """What one admin asked for, and a second one has to say as well before `expires_at`."""

    what: str
    scope: str
    by: str
    reason: str
    at: str
    expires_at: str


@dataclass(frozen=True, slots=True)
class Answer:
    """It goes on, or it waits for a second admin. `to_review`: campaigns that waited too long to go on as they are."""

    asked: Asked | None = None
    to_review: tuple[str, ...] = ()
    moved: bool = True

    @property
    def done(self) -> bool:
        """Nobody else is needed."""
        return self.asked is None


# ── what may be asked for ────────────────────────────────────────────────────────────────────────────────
async def release(
    kernel: Kernel, *, person: Person, reason: str, epoch: int | None = None, alone: bool = False
) -> Answer:
    """Let effects begin again as far as the database has a say.

    `epoch`: the press that the person looked at; `Conflict` if there was another one since. `alone`: at the host, and
    told to everybody. Raises `Invalid` for a role that may not, or without a reason.
    """
    need(person, "relax")
    why, raised = _reason(reason), kernel.switches.raised()

    def change(connection: sa.Connection) -> Answer:
        safety = kernel.switches.state(connection)
        _refuse_stale(epoch, safety.kill_epoch)
        wish = Wish("kill", epoch=safety.kill_epoch)
        if safety.killed and (asked := _asked(kernel, connection, wish, person, why, alone)):
            return Answer(asked)
        back = back_to_review_in(kernel, connection, safety, actor=person.name) if safety.killed else ()
        kernel.switches.release_in(connection, actor=person.name, reason=why)
        return Answer(to_review=tuple(back))

    answer = await kernel.store.write(change)
    if answer.done:
        await anyio.to_thread.run_sync(kernel.switches.lower, raised)
    return answer


async def leave_safe_mode(
    kernel: Kernel, *, person: Person, reason: str, epoch: int | None = None, alone: bool = False
) -> Answer:
    """Let effects be real as far as the database has a say. Arguments and errors as for `release`."""
    need(person, "relax")
    why = _reason(reason)

    def change(connection: sa.Connection) -> Answer:
        safety = kernel.switches.state(connection)
        _refuse_stale(epoch, safety.safe_epoch)
        wish, on = Wish("safe_mode", epoch=safety.safe_epoch), "database" in safety.safe_sources
        if on and (asked := _asked(kernel, connection, wish, person, why, alone)):
            return Answer(asked)
        kernel.switches.leave_safe_mode_in(connection, actor=person.name, reason=why)
        return Answer()

    return await kernel.store.write(change)


async def clear(kernel: Kernel, scope: str, *, person: Person, reason: str, alone: bool = False) -> Answer:
    """Let what stands still move again: a pause by whoever may, a halt as `release`. `moved` says whether it stood."""
    why = _reason(reason)

    def change(connection: sa.Connection) -> Answer:
        pause = standing_at(kernel.switches.state(connection), scope)
        if pause is not None and pause.kind == "halt":
            need(person, "relax")
            wish = Wish("halt", scope=scope, stood_at=pause.at)
            if asked := _asked(kernel, connection, wish, person, why, alone):
                return Answer(asked)
        else:
            need(person, "clear_pause")
        moved = kernel.switches.resume_in(connection, scope, actor=person.name, reason=why)
        if moved:
            mailboxes.allow_in(kernel, connection, scope, person, why)
        return Answer(moved=moved)

    return await kernel.store.write(change)


async def lift(kernel: Kernel, target: str, *, person: Person, reason: str, alone: bool = False) -> Answer:
    """Take an address or a domain off the do-not-contact list, as `release`. `moved` says whether it was on it.

    What was asked for holds the keyed hash alone: whoever says so as well has to know the address.
    """
    need(person, "relax")
    why, keys = _reason(reason), kernel.suppression.keys_for(target)

    def change(connection: sa.Connection) -> Answer:
        since = kernel.suppression.since(connection, keys)
        wish = Wish("suppression", scope=keys[0].hex(), stood_at=since)
        if since and (asked := _asked(kernel, connection, wish, person, why, alone)):
            return Answer(asked)
        return Answer(moved=kernel.suppression.lift_in(connection, target, actor=person.name, reason=why))

    return await kernel.store.write(change)


def standing_at(safety: Safety, scope: str) -> Pause | None:
    """The pause or halt of exactly that scope."""
    return next((pause for pause in safety.pauses if pause.scope == scope), None)


def waiting(kernel: Kernel, connection: sa.Connection) -> list[Asked]:
    """In the caller's transaction: what was asked for, and still may be granted, newest first."""
    safety = kernel.switches.state(connection)
    still = {("kill", "", safety.kill_epoch, ""), ("safe_mode", "", safety.safe_epoch, "")}
    still |= {("halt", p.scope, 0, p.at) for p in safety.pauses if p.kind == "halt"}
    open_ones = relaxation.c.state == "asked", relaxation.c.expires_at > iso(kernel.clock.now())
    rows = connection.execute(sa.select(relaxation).where(*open_ones).order_by(relaxation.c.id.desc()))
    return [
        _read(row)
        for row in rows
        if row.what == "suppression" or (row.what, row.scope, row.epoch, row.stood_at) in still
    ]


def two_needed(kernel: Kernel, connection: sa.Connection) -> bool:
    """In the caller's transaction: whether a second admin has to say so, too."""
    rule = kernel.settings.safety.relaxing.two_persons
    if rule != "auto":
        return rule
    admins = sa.select(sa.func.count()).where(account.c.role == "admin", account.c.disabled == 0)
    return (connection.execute(admins).scalar() or 0) > 1


# ── the second person ────────────────────────────────────────────────────────────────────────────────────
def _asked(
    kernel: Kernel, connection: sa.Connection, wish: Wish, person: Person, reason: str, alone: bool
) -> Asked | None:
    """None if nobody else is needed any more; otherwise what this person asked for, written down."""
    now = kernel.clock.now()
    if not two_needed(kernel, connection):
        return None
    if alone:
        _write(connection, wish, person, reason, "alone", iso(now), iso(now))
        append(connection, [Entry("relax.alone", wish.what, {"scope": wish.scope}, person.name)], now)
        return None
    _refuse_unless_admin(connection, person)
    theirs = (*wish.where, relaxation.c.state == "asked", relaxation.c.expires_at > iso(now))
    rows = connection.execute(sa.select(relaxation).where(*theirs).order_by(relaxation.c.id)).all()
    close = sa.update(relaxation).where(*wish.where, relaxation.c.state == "asked")
    if other := next((row for row in rows if row.actor != person.name), None):
        connection.execute(close.values(state="granted"))
        told = {"scope": wish.scope, "asked_at": other.at}
        append(connection, [Entry("relax.granted", wish.what, told, person.name)], now)
        return None
    connection.execute(close.values(state="lapsed"))  # asked for again: with the new reason, from now on
    until = iso(now + timedelta(minutes=kernel.settings.safety.relaxing.asked_minutes))
    _write(connection, wish, person, reason, "asked", iso(now), until)
    told = {"scope": wish.scope, "reason": reason, "until": until}
    append(connection, [Entry("relax.asked", wish.what, told, person.name)], now)
    return Asked(wish.what, wish.scope, person.name, reason, iso(now), until)


def _write(
    connection: sa.Connection, wish: Wish, person: Person, reason: str, state: str, at: str, until: str
) -> None:
    values = {"what": wish.what, "scope": wish.scope, "epoch": wish.epoch, "stood_at": wish.stood_at}
    values |= {"state": state, "actor": person.name, "reason": reason, "at": at, "expires_at": until}
    connection.execute(sa.insert(relaxation).values(**values))


def _refuse_unless_admin(connection: sa.Connection, person: Person) -> None:
    """The host's own shell is nobody's account: who sits there can't be told from the other admin."""
    mine = (account.c.email == person.name, account.c.role == "admin", account.c.disabled == 0)
    if connection.execute(sa.select(account.c.id).where(*mine)).one_or_none() is None:
        message = (
            "this takes two admins, who each say so on the Gatekeeper's safety page; "
            "if there is only you, --alone does it, and everybody is told"
        )
        raise Invalid(message, field="alone", code="two_persons")


def _refuse_stale(shown: int | None, now: int) -> None:
    if shown is not None and shown != now:
        raise Conflict("somebody turned this switch since you looked; look again", code="stale")


def _read(row: sa.Row[tuple[object, ...]]) -> Asked:
    return Asked(row.what, row.scope, row.actor, row.reason, row.at, row.expires_at)


def _reason(text: str) -> str:
    tidy = " ".join(clean(text).split())[:LONGEST_REASON]
    if not tidy:
        raise Invalid("a reason is needed", field="reason", code="no_reason")
    return tidy
