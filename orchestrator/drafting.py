"""An agent's words for a campaign: checked for everybody in it, and put into review in place of those that stand.

submit ─ unfit ─▶ refused, with the place
       ─ too many wait for people ─▶ refused, with advice
       ─ checked for each person ─▶ a new version of the campaign, unread by everybody; a person decides
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import anyio.to_thread
import sqlalchemy as sa

from orchestrator import compliance
from orchestrator.app import App
from orchestrator.campaigns import Campaign, Variant, campaign_fingerprint
from orchestrator.deciding import change_row, decide, free, hold, refuse_unless_pending
from orchestrator.dossier import (
    DRAFT,
    ENROLLMENT,
    OPEN,
    PENDING,
    Row,
    campaign_row,
    findings_of,
    people_of,
    plan_of,
)
from orchestrator.drafts import Text, Texts, changes, merged, most_changed, print_of, refuse_unfit, write
from orchestrator.finding import Finding
from orchestrator.intake import read_leads
from orchestrator.opt_out_link import Links
from orchestrator.opting_out import links
from orchestrator.provenance import AGENT, TEMPLATE, WAITING, Wording, current_in, keep_in
from orchestrator.rules import Rules
from shared.audit import Entry, append
from shared.clock import iso
from shared.effect import Json, Outcome, canonical
from shared.errors import Conflict
from shared.lead import Lead
from shared.pipeline_schema import campaign, campaign_lead, wording
from shared.ports import Enrollment
from shared.safety_rules import Approvals
from shared.telemetry import correlation

MOST_FINDINGS = 20
MANY = "too_many_waiting"


@dataclass(frozen=True, slots=True)
class _Checked:
    """One person with the new words, and what compliance says of them."""

    row: Row
    enrollment: Enrollment
    findings: tuple[Finding, ...]


async def submit(
    app: App, campaign_id: str, given: Sequence[tuple[Variant, int, Text]], *, why: str, dry_run: bool
) -> Outcome:
    """Check an agent's words for everybody in the campaign, and put them into review in place of those that stand.

    Raises `Invalid` for what no message may hold, `Conflict` for a campaign that doesn't wait for a review.
    """
    full = await app.kernel.store.read(lambda c: too_many_in(c, app.kernel.settings.safety.approvals))
    if full and not dry_run:
        return Outcome("refused", MANY, full, campaign_id, correlation_id=correlation())
    row, before, plan = await app.kernel.store.read(lambda c: _standing(c, campaign_id))
    after = merged(before.texts, given, len(plan.day_offsets))
    refuse_unfit(after, plan, app.rules)
    people = await app.kernel.store.read(lambda c: _open_people(c, campaign_id))
    leads = await app.kernel.store.read(lambda c: read_leads(c, [one.lead_id for one in people]))
    # Rendering takes time that neither the loop nor the writer of the database has.
    checked = await anyio.to_thread.run_sync(
        _check_all, app.rules, links(app.kernel), plan, people, leads, after
    )
    told = _told(before, after, checked)
    if print_of(after) == print_of(before.texts):
        return _outcome("replayed", "These are the words that stand.", campaign_id, told)
    if not any(compliance.verdict(one.findings) not in {"blocked", "held"} for one in checked):
        return _outcome("refused", "Compliance lets these words go to nobody.", campaign_id, told, "blocked")
    if dry_run:
        return _outcome(
            "simulated", "A dry run: checked, and nothing was put into review.", campaign_id, told
        )
    version = await app.kernel.store.write(lambda c: _replace(app, c, row, before, after, checked, why))
    message = "In review: a person reads and approves these words, in the Gatekeeper."
    return _outcome("applied", message, campaign_id, {"version": version, **told})


def too_many_in(connection: sa.Connection, rules: Approvals) -> str:
    """Why no more words of an agent are taken now, and what to do; nothing while people keep up."""
    waiting = (
        sa.select(sa.func.count(sa.distinct(wording.c.campaign_id)))
        .join(campaign, campaign.c.id == wording.c.campaign_id)
        .where(wording.c.written_by == AGENT, wording.c.state == WAITING, campaign.c.state == PENDING)
    )
    count = connection.execute(waiting).scalar() or 0
    if count < rules.waiting_drafts:
        return ""
    return (
        f"{count} campaigns with an agent's words wait for people, and no more than {rules.waiting_drafts} may. "
        f"Ask a person to decide on some (orchestrator_list_reviews), and try again when fewer wait."
    )


def queue_full_in(connection: sa.Connection, rules: Approvals) -> str:
    """Why an agent starts no further plan now, and what to do; nothing while people keep up."""
    pending = sa.select(sa.func.count()).select_from(campaign).where(campaign.c.state == PENDING)
    count = connection.execute(pending).scalar() or 0
    if count < rules.waiting_campaigns:
        return ""
    return (
        f"{count} campaigns wait for people, and no more than {rules.waiting_campaigns} may. "
        f"Ask a person to decide on some (orchestrator_list_reviews), and try again when fewer wait."
    )


def _standing(connection: sa.Connection, campaign_id: str) -> tuple[Row, Wording, Campaign]:
    row = campaign_row(connection, campaign_id)
    refuse_unless_pending(row, row.version)
    before = current_in(connection, campaign_id)
    if before is None:
        raise Conflict("this campaign was written by an older version; plan its run again", code="no_words")
    return row, before, plan_of(row.decision)


def _open_people(connection: sa.Connection, campaign_id: str) -> list[Row]:
    return [one for one in people_of(connection, [campaign_id]).get(campaign_id, []) if one.state in OPEN]


def _check_all(
    rules: Rules, known: Links, plan: Campaign, people: Sequence[Row], leads: Mapping[str, Lead], texts: Texts
) -> list[_Checked]:
    """Write and check the words for everybody. Runs on a thread."""
    found = []
    for one in people:
        lead = leads.get(one.lead_id)
        if lead is None:
            continue
        ours = known.of(lead.email, plan.id)
        messages = write(lead, plan, texts[one.variant], rules, unsubscribe_url=ours)
        made = replace(ENROLLMENT.validate_json(one.enrollment), messages=messages)
        found.append(_Checked(one, made, tuple(compliance.check(lead, messages, rules))))
    return found


def _told(before: Wording, after: Texts, checked: Sequence[_Checked]) -> dict[str, Json]:
    kinds: dict[tuple[str, str], int] = {}
    first: dict[tuple[str, str], Finding] = {}
    for one in checked:
        for found in {(f.code, f.place): f for f in one.findings}.values():
            kinds[found.code, found.place] = kinds.get((found.code, found.place), 0) + 1
            first.setdefault((found.code, found.place), found)
    ranked = sorted(kinds, key=lambda kind: -kinds[kind])[:MOST_FINDINGS]
    stopped = sum(compliance.verdict(one.findings) in {"blocked", "held"} for one in checked)
    sample = next(
        (one for one in checked if compliance.verdict(one.findings) not in {"blocked", "held"}), None
    )
    return {
        "people": len(checked) - stopped,
        "held": stopped,
        "changed_percent": most_changed(changes(before.texts, after)),
        "findings": [{**asdict(first[kind]), "people": kinds[kind]} for kind in ranked],
        "sample": asdict(sample.enrollment.messages[0]) if sample else {},
    }


def _outcome(
    status: str, message: str, campaign_id: str, detail: dict[str, Json], reason: str = ""
) -> Outcome:
    return Outcome(status, reason, message, campaign_id, detail, correlation_id=correlation())  # type: ignore[arg-type]  # one of the statuses


def _replace(
    app: App,
    connection: sa.Connection,
    row: Row,
    before: Wording,
    after: Texts,
    checked: Sequence[_Checked],
    why: str,
) -> int:
    """The new words take the place of the old ones, if nothing happened meanwhile; everybody's reading begins anew."""
    now = campaign_row(connection, row.id)
    refuse_unless_pending(now, row.version)
    open_now = {one.lead_id for one in _open_people(connection, row.id)}  # whoever was stopped stays stopped
    for one in checked:
        if one.row.lead_id in open_now:
            _store(connection, now, one)
    people = [p for p in people_of(connection, [row.id]).get(row.id, []) if p.state == "drafted"]
    enrollments = [ENROLLMENT.validate_json(p.enrollment) for p in people]
    content = campaign_fingerprint(DRAFT.validate_json(row.draft), enrollments)
    at = iso(app.kernel.clock.now())
    identifier = keep_in(connection, now, after, by=AGENT, departs_from=_origin(before), why=why, at=at)
    decide(connection, now, views={}, words_read={}, authors=[], template=f"words:{print_of(after)}")
    change_row(app.kernel, connection, row.id, version=row.version + 1, fingerprint=content)
    payload: dict[str, Json] = {
        "words": identifier,
        "departs_from": before.id,
        "version": row.version + 1,
        "why": why,
    }
    append(connection, [Entry("review.words_submitted", row.id, payload, AGENT)], app.kernel.clock.now())
    return int(row.version) + 1


def _origin(before: Wording) -> str:
    """What the new words depart from: a template by its words, or an agent's earlier ones."""
    return before.departs_from if before.written_by == TEMPLATE else f"agent's words {before.id}"


def _store(connection: sa.Connection, row: Row, one: _Checked) -> None:
    """One person's new words: held or freed by what compliance says of them, unless held otherwise."""
    values = {
        "enrollment": canonical(one.enrollment).decode(),
        "findings": json.dumps([asdict(finding) for finding in one.findings]),
    }
    connection.execute(_mine(row.id, one.row.lead_id).values(**values))
    if compliance.verdict(one.findings) in {"blocked", "held"}:
        hold(connection, row, one.row.lead_id, one.findings[0].why)
    elif one.row.state == "drafted" or one.row.reason in {found.why for found in findings_of(one.row)}:
        free(connection, row, one.row.lead_id)


def _mine(campaign_id: str, lead_id: str) -> sa.Update:
    here = (campaign_lead.c.campaign_id == campaign_id, campaign_lead.c.lead_id == lead_id)
    return sa.update(campaign_lead).where(*here)
