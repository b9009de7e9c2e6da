"""A mailbox of ours that stands still here is paused at the vendor, until it confirms; once cleared, it sends again.

stands still ─ paused at the vendor, confirmed ─▶ still ─ a person clears it, which is a yes ─▶ resumed at the vendor
             └ not confirmed ─▶ tried again

Read from the ledger, as `standstill.py` does: a pause counts that was confirmed since the mailbox stands still, and
since it was resumed last. The campaigns that it stands in are left as people approved them: while it is paused, the
vendor sends from the others. One of which no mailbox is left isn't started (`Effect.mailboxes`).
"""

import json
from collections.abc import Awaitable, Callable, Iterable
from functools import partial

import anyio
import sqlalchemy as sa

from orchestrator.app import App
from orchestrator.later import Later
from orchestrator.standstill import Open, Progress
from shared.approval import Item, Person
from shared.clock import iso
from shared.effect import Outcome, fingerprint
from shared.errors import SwarmError
from shared.event import Event
from shared.kernel import Kernel
from shared.pipeline_schema import campaign
from shared.schema import approval, effect, reached
from shared.switches import MAILBOX, Pause, Safety, silenced, standing
from shared.telemetry import logger

log = logger("mailboxes")
VENDOR = "instantly"
PAUSING, RESUMING = "pause_mailbox", "resume_mailbox"
AT_VENDOR = "accounts/"  # in front of the address, as the target of an effect
OF_MAILBOXES = (effect.c.vendor == VENDOR, effect.c.target > AT_VENDOR, effect.c.target < "accounts0")
NOT_YET = "a mailbox that stands still isn't confirmed as paused at the vendor yet"
NOT_OURS = "not_ours"  # somebody had paused it at the vendor before: it stays so


def told_of(app: App, connection: sa.Connection, event: Event, campaign_id: str) -> str:
    """The mailbox that an event names, if we know it as ours; any other text from outside names nothing.

    One that is configured no more may still write for a campaign that was drafted with it.
    """
    told = str(event.detail.get("mailbox", "")).strip().lower()
    if not told or told in map(str.lower, app.rules.outreach.sender.mailboxes):
        return told
    drafted = sa.select(campaign.c.draft).where(campaign.c.id == campaign_id)
    draft = connection.execute(drafted).scalar() or "{}"
    return told if told in {str(box).lower() for box in json.loads(draft).get("mailboxes", ())} else ""


def allow_in(kernel: Kernel, connection: sa.Connection, scope: str, person: Person, reason: str) -> None:
    """In the caller's transaction: whoever clears a mailbox says yes to its sending again at the vendor."""
    if scope.startswith(MAILBOX):
        printed = fingerprint({"mailbox": scope.removeprefix(MAILBOX).lower()})
        items = [Item(f"{VENDOR}.{RESUMING}", printed)]
        kernel.approvals.give_in(connection, scope, items, person=person, fingerprint=printed, note=reason)


# ── at the vendor ────────────────────────────────────────────────────────────────────────────────────────
async def work(app: App, later: Later) -> int:
    """Pause what stands still here, and resume what a person has cleared. Returns how many weren't confirmed."""
    safety, now = await app.kernel.switches.now(), iso(app.kernel.clock.now())
    if safety.read_only:
        return 0
    still, cleared = await app.kernel.store.read(lambda c: (unconfirmed(c, safety), _cleared(c, safety, now)))
    asked: dict[str, Callable[[], Awaitable[Outcome]]] = {}
    for box in still:
        asked[box] = partial(app.suite.sequencer.pause_mailbox, mailbox=box, reason="stands still here")
    for yes, box in cleared:
        asked[yes] = partial(app.suite.sequencer.resume_mailbox, mailbox=box, approval=yes)
    failed: list[str] = []

    async def one(key: str) -> None:
        if await _done(asked[key]):
            later.forget(key)
        else:
            later.put_off(key)
            failed.append(key)

    async with anyio.create_task_group() as tasks:
        for key in filter(later.due, asked):
            tasks.start_soon(one, key)
    return len(failed)


async def _done(ask: Callable[[], Awaitable[Outcome]]) -> bool:
    try:
        outcome = await ask()
    except SwarmError as error:
        log.warning("mailboxes.not_reached", code=error.code, kind=error.kind)
        return False
    log.warning("mailboxes.asked", status=outcome.status, reason=outcome.reason)
    return outcome.done or outcome.reason == NOT_OURS


# ── what the ledger says ─────────────────────────────────────────────────────────────────────────────────
def wanted(connection: sa.Connection, safety: Safety) -> dict[str, Pause]:
    """Mailboxes that stand still, so that the vendor should pause them; none where we only ever rehearsed."""
    boxes = silenced(safety)
    if not boxes or not safety.safe_mode:
        return boxes
    real = sa.select(reached.c.vendor).where(reached.c.vendor == VENDOR).limit(1)
    return boxes if connection.execute(real).first() else {}


def unconfirmed(connection: sa.Connection, safety: Safety) -> list[str]:
    """Of these, the ones that the vendor hasn't confirmed."""
    return [box for box, pause in wanted(connection, safety).items() if not _paused(connection, box, pause)]


def progress(connection: sa.Connection, safety: Safety) -> Progress:
    """How far the vendor is with them."""
    boxes, left = wanted(connection, safety), unconfirmed(connection, safety)
    return Progress(len(boxes) - len(left), tuple(Open(boxes[box].scope, box, boxes[box].at) for box in left))


def not_yet_still(connection: sa.Connection, safety: Safety, mailboxes: Iterable[str]) -> bool:
    """Whether one of these stands still here, and the vendor may write from it all the same."""
    return not {box.lower() for box in mailboxes}.isdisjoint(unconfirmed(connection, safety))


def _paused(connection: sa.Connection, box: str, pause: Pause) -> bool:
    """Whether a pause was confirmed that began since it stands still, and since it was let go on last."""
    mine = effect.c.target == f"{AT_VENDOR}{box}"
    # Empty until it is settled: a resume that is on its way is later than any pause.
    resumed = sa.select(sa.func.max(sa.func.coalesce(sa.func.nullif(effect.c.settled_at, ""), "9"))).where(
        mine, effect.c.action == RESUMING, effect.c.status.in_(("claimed", "in_doubt", "applied"))
    )
    since = max(pause.at, connection.execute(resumed).scalar() or "")
    done = (mine, effect.c.action == PAUSING, effect.c.status == "applied", effect.c.claimed_at >= since)
    return connection.execute(sa.select(effect.c.id).where(*done).limit(1)).first() is not None


def _cleared(connection: sa.Connection, safety: Safety, now: str) -> list[tuple[str, str]]:
    """Mailboxes that were paused at the vendor and don't stand still any more: the yes to each that isn't used up."""
    if safety.killed or safety.safe_mode or standing(safety, VENDOR, ""):
        return []
    paused = sa.select(effect.c.target).where(
        *OF_MAILBOXES, effect.c.action == PAUSING, effect.c.status == "applied"
    )
    boxes = {
        str(target).removeprefix(AT_VENDOR) for target in connection.execute(paused.distinct()).scalars()
    }
    subjects = [f"{MAILBOX}{box}" for box in boxes - silenced(safety).keys()]
    if not subjects:
        return []
    over = sa.or_(effect.c.status == "applied", effect.c.reason == NOT_OURS)
    used = sa.select(effect.c.approval).where(*OF_MAILBOXES, effect.c.action == RESUMING, over)
    stands = (approval.c.state == "approved", approval.c.expires_at > now, approval.c.id.not_in(used))
    query = sa.select(approval.c.id, approval.c.subject).where(approval.c.subject.in_(subjects), *stands)
    return [(row.id, row.subject.removeprefix(MAILBOX)) for row in connection.execute(query)]
