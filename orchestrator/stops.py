"""Stopping a person everywhere: on our list, out of every campaign, block-listed, marked in the CRM.

person:    open ─ remove from sequencer · block-list · DNC in the CRM ─ all done ─▶ confirmed
sequence:  open ─ remove from sequencer ─ done ─▶ confirmed
domain:    open ─ block-list ─ done ─▶ confirmed
                ├ something is not ─▶ open, tried again, ever more seldom
                └ safe mode ─▶ simulated ─ safe mode is over ─▶ open

These effects are let through while everything else stands still; stopping prefers twice to never. A removal
counts only if nobody can have been added behind its back: not while an addition is on its way. A stop that is
asked for again when something has changed since is opened again.
"""

from collections.abc import Callable, Mapping, Sequence, Sized
from datetime import datetime, timedelta

import sqlalchemy as sa

from orchestrator.identity import EMAIL, addresses_of, at_domain, lead_of_address
from shared.address import ascii_domain, bare, registrable
from shared.clock import iso
from shared.effect import canonical, digest
from shared.errors import Invalid
from shared.kernel import Kernel
from shared.pipeline_schema import campaign_lead, lead_key, stop
from shared.schema import effect
from shared.spool import Kept
from shared.sql import insertion, run
from shared.suppression import BOUNCED
from shared.telemetry import correlation, logger

log = logger("stops")

# Asked for once more after so long, although nothing seems to have changed: it costs little.
STALE = timedelta(hours=1)
OF_AN_ADDRESS = frozenset({BOUNCED})  # reasons that say nothing about the person
SWEPT = 500  # people at a time
UNTOUCHED = ("stopped", "simulated")
ADDING = "add_lead"
LEAVE = "UPDATE campaign_lead SET state = 'stopped', reason = ? WHERE email = ? AND state NOT IN (?, ?)"
KNOWN = "SELECT state, at FROM stop WHERE id = ?"
ASK = insertion("stop", ("reason", "at", "detail", "id", "kind", "target"))
ASK_AGAIN = (
    "UPDATE stop SET reason = ?, at = ?, detail = ?, state = 'open', due_at = '', attempts = 0 WHERE id = ?"
)


# ── asking for it ────────────────────────────────────────────────────────────────────────────────────────
async def suppress(kernel: Kernel, target: str, *, reason: str, source: str, actor: str = "system") -> bool:
    """Never write to an address or a domain again, and stop what runs for them. True if it is new to the list.

    Where the database can't take it, it waits in the spool, and nothing is sent before the list has it. Raises
    `Invalid` for something that is neither, and for a free-mail domain.
    """
    try:
        return await kernel.store.write(
            lambda c: suppress_in(kernel, c, target, reason=reason, source=source, actor=actor)
        )
    except Invalid as error:
        raise Invalid(error.message, field="target", code=error.code) from error
    except Exception:
        # Whatever is wrong with the database or its log: somebody asked to be left alone.
        log.exception("suppression.not_written", source=source)
        kernel.suppression.keys_for(target)  # what is neither address nor domain is told now, not later
        await kernel.spool.keep(Kept((target,), reason, source, actor))
        return True


def suppress_in(
    kernel: Kernel,
    connection: sa.Connection,
    target: str,
    *,
    reason: str,
    source: str,
    actor: str = "system",
    lead_id: str = "",
) -> bool:
    """In the caller's transaction, as `suppress`; `lead_id` names whose address it is, where that is known."""
    said = {"reason": reason, "source": source, "actor": actor}
    if "@" not in bare(target):
        return _suppress_domain(kernel, connection, bare(target), said)
    new = kernel.suppression.add_in(connection, target, **said)
    for address in addresses_of(connection, target, lead_id or lead_of_address(connection, target)):
        added = kernel.suppression.add_in(connection, address, **said)
        open_in(connection, address, reason, kernel.clock.now(), anew=new or added)
    hold_company_in(kernel, connection, target)
    return new


def hold_company_in(kernel: Kernel, connection: sa.Connection, address: str) -> bool:
    """In the caller's transaction: this person opted out. True if so many there did that all of them are held.

    A person lifts it (`swarm unsuppress`), as any other entry of the list.
    """
    try:
        domain = kernel.suppression.company_of_opt_outs(connection, address, kernel.clock.now())
    except Invalid:  # nobody can read it, so nobody is written to there
        return False
    if domain:
        said = {"reason": "several people there opted out", "source": "rule", "actor": "system"}
        _suppress_domain(kernel, connection, domain, said)
    return bool(domain)


def follow_in(kernel: Kernel, connection: sa.Connection, lead_ids: Sequence[str]) -> int:
    """In the caller's transaction: who opted out at one address did so at each that we learn of later.

    For leads that were merged, or that an address was found for. A bounce is the address's own matter. Returns how
    many addresses were added.
    """
    added = 0
    for address, reason in _unreached(kernel, connection, lead_ids):
        # What says nothing new opens no stop: the sweep would do so again and again.
        if kernel.suppression.add_in(connection, address, reason=reason, source="another address"):
            open_in(connection, address, reason, kernel.clock.now(), anew=True)
            added += 1
    return added


def _unreached(kernel: Kernel, connection: sa.Connection, lead_ids: Sequence[str]) -> list[tuple[str, str]]:
    """Addresses of people who opted out at another one, with the reason."""
    keys = (lead_key.c.lead_id.in_(lead_ids), lead_key.c.key.startswith(EMAIL))
    known: dict[str, list[str]] = {}
    for row in connection.execute(sa.select(lead_key).where(*keys)):
        known.setdefault(row.lead_id, []).append(row.key.removeprefix(EMAIL))
    found = []
    for addresses in (several for several in known.values() if len(several) > 1):
        reasons = kernel.suppression.opted_out(connection, addresses)
        theirs = next((why for why in reasons.values() if why not in OF_AN_ADDRESS), "")
        others = (one for one in addresses if reasons.get(one, BOUNCED) in OF_AN_ADDRESS)
        found += [(one, theirs) for one in others if theirs]
    return found


async def sweep(kernel: Kernel) -> int:
    """Take whoever is on the list out of the campaigns they still run in; for a list that was imported.

    Goes through those campaigns, not through the list, so that every spelling and every domain is found; and before
    that, through people of whom we know several addresses: an opt-out at one is an opt-out. Returns how many were
    stopped.
    """
    await _paged(kernel, _several, _unreached, follow_in)
    return await _paged(kernel, _running, _refused, _swept)


async def _paged(
    kernel: Kernel,
    page: Callable[[sa.Connection, str], list[str]],
    owing: Callable[[Kernel, sa.Connection, Sequence[str]], Sized],
    change: Callable[[Kernel, sa.Connection, Sequence[str]], int],
) -> int:
    """Carry `change` out for each page of names to which something is owed; returns what it came to.

    Most of the time nothing is, and whoever only looks keeps no writer waiting.
    """

    async def look(after: str) -> tuple[list[str], bool]:
        def see(connection: sa.Connection) -> tuple[list[str], bool]:
            names = page(connection, after)
            return names, bool(owing(kernel, connection, names))

        return await kernel.store.read(see)

    async def carry_out(names: Sequence[str]) -> int:
        return await kernel.store.write(lambda c: change(kernel, c, names))

    after, done = "", 0
    while True:
        names, owed = await look(after)
        if not names:
            return done
        done += await carry_out(names) if owed else 0
        after = names[-1]


def _several(connection: sa.Connection, after: str) -> list[str]:
    """The next leads that go by more than one address."""
    named = sa.select(lead_key.c.lead_id).where(lead_key.c.lead_id > after, lead_key.c.key.startswith(EMAIL))
    several = named.group_by(lead_key.c.lead_id).having(sa.func.count() > 1)
    return list(connection.execute(several.order_by(lead_key.c.lead_id).limit(SWEPT)).scalars())


def _running(connection: sa.Connection, after: str) -> list[str]:
    there = sa.select(campaign_lead.c.email).where(
        campaign_lead.c.state.not_in(UNTOUCHED), campaign_lead.c.email > after
    )
    return list(connection.execute(there.distinct().order_by(campaign_lead.c.email).limit(SWEPT)).scalars())


def _refused(kernel: Kernel, connection: sa.Connection, emails: Sequence[str]) -> list[str]:
    """Those who are on the list."""
    return [one for one, why in kernel.suppression.check(connection, emails).items() if why == "suppressed"]


def _swept(kernel: Kernel, connection: sa.Connection, emails: Sequence[str]) -> int:
    refused = _refused(kernel, connection, emails)
    for email in refused:
        open_in(connection, email, "on an imported list", kernel.clock.now(), anew=True)
    return len(refused)


def _suppress_domain(kernel: Kernel, connection: sa.Connection, target: str, said: Mapping[str, str]) -> bool:
    new = kernel.suppression.add_in(connection, target, **said)
    domain, now = registrable(ascii_domain(target.strip().strip("."))), kernel.clock.now()
    _open(connection, "domain", domain, said["reason"], now, anew=new)
    running = campaign_lead.c.state.not_in(UNTOUCHED)
    there = sa.select(campaign_lead.c.email).where(at_domain([domain]), running).distinct()
    for email in list(connection.execute(there).scalars()):
        open_in(connection, email, said["reason"], now, anew=True)
    return new


def open_in(connection: sa.Connection, email: str, reason: str, now: datetime, *, anew: bool = False) -> None:
    """In the caller's transaction: this address is to be stopped everywhere. `anew`: even if it was before."""
    _open(connection, "person", email, reason, now, anew=_leave_campaigns(connection, email, reason) or anew)


def halt_in(connection: sa.Connection, email: str, reason: str, now: datetime) -> None:
    """In the caller's transaction: nothing further of a sequence goes to this address; it isn't suppressed."""
    _open(connection, "sequence", email, reason, now, anew=_leave_campaigns(connection, email, reason))


def _leave_campaigns(connection: sa.Connection, email: str, reason: str) -> bool:
    """Here at once. True if they were in one."""
    return bool(run(connection, LEAVE, reason, email, *UNTOUCHED).rowcount > 0)


def _open(
    connection: sa.Connection, kind: str, target: str, reason: str, now: datetime, *, anew: bool
) -> None:
    identifier = digest("stop/v1", kind, target)[:24]
    # What follows belongs to what caused it.
    detail = canonical({"correlation_id": correlation()}).decode()
    known = run(connection, KNOWN, identifier).fetchone()
    if known is None:
        run(connection, ASK, reason, iso(now), detail, identifier, kind, target)
    elif anew or (known["state"] == "confirmed" and known["at"] < iso(now - STALE)):
        run(connection, ASK_AGAIN, reason, iso(now), detail, identifier)


# ── what may have come in between ────────────────────────────────────────────────────────────────────────
def may_be_enrolled(connection: sa.Connection, email: str, since: str) -> bool:
    """Whether somebody may have been added to a campaign at the vendor after `since`, or still is being added."""
    settled_later = sa.or_(effect.c.status.in_(("claimed", "in_doubt")), effect.c.settled_at > since)
    query = sa.select(effect.c.id).where(
        effect.c.target == email,
        effect.c.action == ADDING,
        effect.c.status.in_(("claimed", "in_doubt", "applied")),
        settled_later,
    )
    return connection.execute(query.limit(1)).scalar() is not None


def late_in(connection: sa.Connection, now: datetime) -> list[str]:
    """Stops behind whose back somebody was added.

    An addition that had begun before the stop was asked for may reach the vendor after the removal did.
    """
    late = sa.exists().where(
        effect.c.target == stop.c.target,
        effect.c.action == ADDING,
        effect.c.status.in_(("claimed", "in_doubt", "applied")),
        effect.c.claimed_at > stop.c.confirmed_at,
    )
    recent = stop.c.confirmed_at > iso(now - timedelta(days=1))
    query = sa.select(stop.c.id).where(stop.c.state == "confirmed", recent, late)
    return list(connection.execute(query).scalars())


def reopen_in(connection: sa.Connection, identifiers: Sequence[str], now: datetime) -> None:
    """In the caller's transaction: these stops are carried out once more."""
    detail = canonical({"correlation_id": correlation()}).decode()
    values = {"state": "open", "at": iso(now), "due_at": "", "attempts": 0, "detail": detail}
    for identifier in identifiers:
        connection.execute(sa.update(stop).where(stop.c.id == identifier).values(**values))
