"""The words of a campaign: who wrote them, from what they depart, what was approved last, and what changed since.

written for a campaign ─▶ waiting ─ approved ─▶ what the next ones of its kind and tier are compared with
                                  └ replaced ─▶ superseded
"""

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from orchestrator.campaigns import Campaign
from orchestrator.deciding import decide
from orchestrator.dossier import Row, campaign_row, decision
from orchestrator.drafts import TEXTS, Change, Texts, changes, most_changed, print_of
from shared.effect import digest
from shared.kernel import Kernel
from shared.pipeline_schema import wording
from shared.safety_rules import Approvals
from shared.telemetry import correlation

AGENT = "agent"
TEMPLATE = "template"
WAITING, APPROVED = "waiting", "approved"


@dataclass(frozen=True, slots=True)
class Wording:
    """The words of a campaign as they stand, and where they come from."""

    id: str
    written_by: str
    departs_from: str
    why: str
    at: str
    state: str
    correlation_id: str
    texts: Texts


@dataclass(frozen=True, slots=True)
class Origin:
    """What a reviewer is told of the words: who wrote them, and how they differ from what was approved last."""

    wording: Wording
    approved_before: Wording | None
    changes: tuple[Change, ...]
    percent: float
    reasons: tuple[str, ...]  # why the words themselves must be read before anybody approves


# ── keeping them ─────────────────────────────────────────────────────────────────────────────────────────
def keep_in(
    connection: sa.Connection,
    row: Row | Campaign,
    texts: Texts,
    *,
    by: str,
    departs_from: str,
    why: str,
    at: str,
) -> str:
    """In the caller's transaction: these are the campaign's words from now on."""
    older = sa.update(wording).where(wording.c.campaign_id == row.id, wording.c.state == WAITING)
    connection.execute(older.values(state="superseded"))
    identifier = digest("wording/v1", row.id, print_of(texts), at)[:16]
    values = {
        "id": identifier,
        "campaign_id": row.id,
        "type": row.type,
        "tier": row.tier,
        "state": WAITING,
        "written_by": by,
        "departs_from": departs_from,
        "why": why,
        "texts": TEXTS.dump_json(dict(texts)).decode(),
        "correlation_id": correlation(),
        "at": at,
    }
    connection.execute(sa.insert(wording).values(**values))
    return identifier


def current_in(connection: sa.Connection, campaign_id: str) -> Wording | None:
    """The campaign's words; None for one that an older version wrote."""
    query = sa.select(wording).where(
        wording.c.campaign_id == campaign_id, wording.c.state.in_((WAITING, APPROVED))
    )
    row = connection.execute(query.order_by(wording.c.at.desc(), wording.c.id).limit(1)).one_or_none()
    return _wording(row) if row else None


def approved_before_in(connection: sa.Connection, row: Row) -> Wording | None:
    """What was approved last for this kind of campaign and tier, in another campaign."""
    query = sa.select(wording).where(
        wording.c.type == row.type,
        wording.c.tier == row.tier,
        wording.c.state == APPROVED,
        wording.c.campaign_id != row.id,
    )
    found = connection.execute(
        query.order_by(wording.c.decided_at.desc(), wording.c.id).limit(1)
    ).one_or_none()
    return _wording(found) if found else None


def approve_in(connection: sa.Connection, campaign_id: str, *, by: str, at: str) -> None:
    """In the transaction of an approval: from now on others are compared with these words."""
    mine = (wording.c.campaign_id == campaign_id, wording.c.state == WAITING)
    values = {"state": APPROVED, "decided_by": by, "decided_at": at}
    connection.execute(sa.update(wording).where(*mine).values(**values))


def _wording(row: sa.Row[tuple[object, ...]]) -> Wording:
    return Wording(
        row.id, row.written_by, row.departs_from, row.why, row.at, row.state, row.correlation_id,
        TEXTS.validate_json(row.texts),
    )  # fmt: skip


# ── what a reviewer must see ─────────────────────────────────────────────────────────────────────────────
def origin_in(connection: sa.Connection, row: Row, rules: Approvals) -> Origin | None:
    """Where the campaign's words come from, and whether they must be read as such before approving."""
    words = current_in(connection, row.id)
    if words is None:
        return None
    before = approved_before_in(connection, row)
    compared = changes(before.texts, words.texts) if before else ()
    percent = most_changed(compared) if before else 100.0
    return Origin(words, before, compared, percent, tuple(_reasons(words, before, percent, rules)))


def _reasons(words: Wording, before: Wording | None, percent: float, rules: Approvals) -> Iterable[str]:
    if words.written_by == AGENT:
        yield "an agent wrote these words"
    # Words of which none was approved before are a new template or segment: `familiar.py` sees to those.
    if before is not None and percent > rules.change_percent:
        yield f"a message changed by {percent:g} % since the words that were approved last"


def unread_words(connection: sa.Connection, row: Row, rules: Approvals, reader: str) -> tuple[str, ...]:
    """Why this reader has yet to read the words as such; nothing once they have, or need not."""
    found = origin_in(connection, row, rules)
    if found is None or not found.reasons:
        return ()
    seen = decision(row).get("words_read", {})
    known = seen.get(reader) if isinstance(seen, dict) else None
    return () if known == found.wording.id else found.reasons


def note_words_read(connection: sa.Connection, row: Row, reader: str) -> None:
    """In the caller's transaction: this reader has read the words as such, and what changed in them."""
    words = current_in(connection, row.id)
    seen = decision(row).get("words_read", {})
    if words is not None:
        decide(connection, row, words_read={**(seen if isinstance(seen, dict) else {}), reader: words.id})


async def words_of(kernel: Kernel, campaign_id: str, reader: str) -> tuple[Origin | None, bool]:
    """Where a campaign's words come from, and whether this reader has yet to read them as such. Raises `Invalid`."""
    rules = kernel.settings.safety.approvals

    def query(connection: sa.Connection) -> tuple[Origin | None, bool]:
        row = campaign_row(connection, campaign_id)
        return origin_in(connection, row, rules), bool(unread_words(connection, row, rules, reader))

    return await kernel.store.read(query)
