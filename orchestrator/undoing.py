"""Putting back what a run changed in the CRM, newest change first, from what its writes left in the ledger.

field, tag, stage   still as the run left it ─▶ as it was before     ─ changed since ─▶ left alone, and named
new contact, new opportunity, do-not-contact mark                    ─▶ stays: nothing is deleted, nothing loosened
settled by a look, its answer was lost                               ─▶ stays: what stood there before isn't known
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.app import App
from orchestrator.catching_up import vendor
from orchestrator.runs import get
from shared.audit import Entry
from shared.effect import Json, Outcome
from shared.errors import SwarmError
from shared.ledger import Row
from shared.ports import FieldChange
from shared.telemetry import correlated, logger

log = logger("undoing")
MOST = 100_000  # writes of a run
KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Undone:
    """One write of the run, and what became of it. `kept` are the fields that somebody changed since."""

    action: str
    target: str
    status: str  # restored, unchanged, kept, or how the write that would put it back ended
    message: str = ""
    restored: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


async def undo(app: App, run_id: str, *, actor: str) -> list[Undone]:
    """Everything the run wrote into the CRM. Raises `Invalid` for a run that there isn't."""
    found = await get(app.kernel, run_id)
    rows = await app.kernel.ledger.list(
        status="applied", vendor=vendor(app), correlation_id=found.correlation_id, limit=MOST
    )
    with correlated():
        done = [await _one(app, row) for row in rows]
        counts: dict[str, Json] = {}
        for one in done:
            counts[one.status] = int(str(counts.get(one.status, 0))) + 1
        await app.kernel.audit.record(Entry("run.undone", run_id, counts, actor))
    return done


async def _one(app: App, row: Row) -> Undone:
    """One write; an error is its own and keeps the others from nothing."""
    action, target = row.effect.action, row.effect.target
    put_back = BACK.get(action)
    if row.detail.get("found"):
        return Undone(action, target, KEPT, "its answer was lost: what stood there before is not known")
    if put_back is None or row.detail.get("created") is True:
        return Undone(action, target, KEPT, WHY.get(action, "this is never taken back by itself"))
    try:
        return await put_back(app, row)
    except SwarmError as error:
        log.warning("undo.failed", code=error.code, kind=error.kind)
        return Undone(action, target, "failed", error.message)


WHY: Mapping[str, str] = {
    "create_contact": "the run created this contact; delete it in the CRM if nobody needs it",
    "upsert_contact": "the run created this contact; delete it in the CRM if nobody needs it",
    "create_opportunity": "the run created this opportunity; delete it in the CRM if nobody needs it",
    "set_dnc": "a do-not-contact mark is lifted by a person only",
}


async def _contact(app: App, row: Row) -> Undone:
    before, after = _texts(row.detail.get("before")), _texts(row.detail.get("after"))
    changes = [FieldChange(name, before.get(name, ""), now) for name, now in after.items()]
    tags = _names(row.detail.get("tags_added"))
    if not changes and not tags:
        return Undone(row.effect.action, row.effect.target, "unchanged", "the run changed nothing of it")
    outcome = await app.suite.crm.restore_contact(
        contact_id=row.reference, email=_email(row), changes=changes, tags=tags, undoes=row.key
    )
    return _told(row, outcome)


async def _tags(app: App, row: Row) -> Undone:
    """Take off what the run added, put back what it took off."""
    outcome = await app.suite.crm.restore_contact(
        contact_id=row.reference,
        email=_email(row),
        tags=_names(row.detail.get("tags_added")),
        undoes=row.key,
    )
    removed = _names(row.detail.get("tags_removed"))
    if removed and (outcome.done or outcome.status == "simulated"):
        outcome = await app.suite.crm.tag_contact(contact_id=row.reference, email=_email(row), add=removed)
    return _told(row, outcome)


async def _stage(app: App, row: Row) -> Undone:
    before, after = _texts(row.detail.get("before")), _texts(row.detail.get("after"))
    outcome = await app.suite.crm.restore_stage(
        opportunity_id=row.reference,
        email=_email(row),
        was=before.get("stage", ""),
        now=after.get("stage", ""),
        undoes=row.key,
    )
    return _told(row, outcome)


BACK: Mapping[str, Callable[[App, Row], Awaitable[Undone]]] = {
    "create_contact": _contact,
    "update_contact": _contact,
    "upsert_contact": _contact,
    "tag_contact": _tags,
    "move_opportunity": _stage,
}
# The word for how a restoring write ended, where it needs one.
WORDS: Mapping[tuple[str, str], str] = {
    ("applied", ""): "restored",
    ("replayed", ""): "restored",
    ("replayed", "already"): "unchanged",
    ("replayed", "changed_since"): KEPT,
}


def _told(row: Row, outcome: Outcome) -> Undone:
    status = WORDS.get((outcome.status, outcome.reason), outcome.status)
    restored = (*_names(outcome.detail.get("restored")), *_names(outcome.detail.get("tags_removed")))
    kept = (*_names(outcome.detail.get("kept")), *_names(outcome.detail.get("not_restored")))
    message = "somebody changed it since" if status == KEPT else outcome.message
    return Undone(row.effect.action, row.effect.target, status, message, restored, kept)


def _email(row: Row) -> str:
    return str(row.effect.content.get("email") or "")


def _texts(value: Json) -> dict[str, str]:
    return {name: str(one) for name, one in value.items()} if isinstance(value, Mapping) else {}


def _names(value: Json) -> tuple[str, ...]:
    return (
        tuple(str(one) for one in value) if isinstance(value, Sequence) and not isinstance(value, str) else ()
    )
