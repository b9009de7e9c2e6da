"""What a reviewer sees: the queue, a campaign's people with every word they would get, and what is unread.

A message whose findings ask for a person's own yes is read by itself; of the rest, the sample that the plan
asks for.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from pydantic import TypeAdapter

from orchestrator.campaigns import Campaign
from orchestrator.compliance import Verdict, verdict
from orchestrator.finding import Finding
from orchestrator.intake import read_leads
from orchestrator.outreach_rules import Depth
from shared.clock import iso
from shared.errors import Invalid
from shared.kernel import Kernel
from shared.lead import Lead
from shared.pipeline_schema import campaign, campaign_lead
from shared.ports import CampaignDraft, Enrollment, Message

DRAFT = TypeAdapter(CampaignDraft)
ENROLLMENT = TypeAdapter(Enrollment)
FINDINGS = TypeAdapter(tuple[Finding, ...])
PAGE = 10
PENDING = "pending_review"
OPEN = ("drafted", "held")
# What an approval names, as the gate asks for it: `vendor.action`.
ADD_LEAD = "instantly.add_lead"
ACTIVATE = "instantly.activate_campaign"
RESUME = "instantly.resume_campaign"
CAREFUL: tuple[Verdict, ...] = ("person", "held")
Row = sa.Row[tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A campaign in the queue. `warnings` counts findings on messages that would be sent."""

    id: str
    name: str
    type: str
    tier: str
    version: int
    covered: int
    held: int
    warnings: int
    due: str
    overdue: bool


@dataclass(frozen=True, slots=True)
class Recipient:
    """One person with every message they would get. `alone`: needs a yes of its own, never a batch's."""

    lead_id: str
    email: str
    name: str
    title: str
    company: str
    variant: str
    state: str
    reason: str
    messages: tuple[Message, ...]
    findings: tuple[Finding, ...]
    alone: bool
    read: bool


@dataclass(frozen=True, slots=True)
class Reading:
    """How far one reader is. `unread_alone` are those who each need a look of their own."""

    needed: int
    read: int
    unread_alone: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Enough was read to decide."""
        return self.read >= self.needed and not self.unread_alone


@dataclass(frozen=True, slots=True)
class Detail:
    """A campaign as a reviewer sees it: one page of its people."""

    id: str
    run_id: str
    name: str
    type: str
    tier: str
    state: str
    version: int
    hypothesis: str
    depth: Depth
    draft: CampaignDraft
    due: str
    decided_by: str
    reason: str
    vendor_ref: str
    states: Mapping[str, int]
    variants: Mapping[str, int]
    findings: tuple[tuple[Finding, int], ...]  # each kind once, with how many people have it
    recipients: tuple[Recipient, ...]
    page: int
    pages: int
    reading: Reading


async def queue(kernel: Kernel) -> list[Waiting]:
    """What waits for a person, the most urgent first."""
    return await kernel.store.read(lambda c: _queue(c, iso(kernel.clock.now())))


def _queue(connection: sa.Connection, now: str) -> list[Waiting]:
    one = campaign.c
    shown = (one.id, one.name, one.type, one.tier, one.version, one.review_due)
    pending = sa.select(*shown).where(one.state == PENDING).order_by(one.review_due, one.id)
    states, warnings = _states(connection), _warnings(connection)
    return [
        Waiting(
            id=row.id,
            name=row.name,
            type=row.type,
            tier=row.tier,
            version=row.version,
            covered=states[row.id, "drafted"],
            held=states[row.id, "held"],
            warnings=warnings[row.id],
            due=row.review_due,
            overdue=bool(row.review_due) and row.review_due < now,
        )
        for row in connection.execute(pending)
    ]


def _of_pending(*columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
    """These columns of everybody in campaigns that wait; never their words, which are most of the row."""
    joined = sa.select(*columns).join(campaign, campaign.c.id == campaign_lead.c.campaign_id)
    return joined.where(campaign.c.state == PENDING)


def _states(connection: sa.Connection) -> Counter[tuple[str, str]]:
    """How many people there are by campaign and state."""
    by = (campaign_lead.c.campaign_id, campaign_lead.c.state)
    rows = connection.execute(_of_pending(*by, sa.func.count()).group_by(*by))
    return Counter({(row[0], row[1]): int(row[2]) for row in rows})


def _warnings(connection: sa.Connection) -> Counter[str]:
    """By campaign: what compliance found on those who would be written to."""
    here = campaign_lead.c
    found = _of_pending(here.campaign_id, here.findings).where(here.state == "drafted", here.findings != "[]")
    counted: Counter[str] = Counter()
    for row in connection.execute(found):
        counted[row.campaign_id] += len(json.loads(row.findings))
    return counted


def people_of(connection: sa.Connection, campaign_ids: Sequence[str]) -> dict[str, list[Row]]:
    """The rows of each campaign's people, by lead id."""
    query = sa.select(campaign_lead).where(campaign_lead.c.campaign_id.in_(campaign_ids))
    found: dict[str, list[Row]] = {}
    for row in connection.execute(query.order_by(campaign_lead.c.lead_id)):
        found.setdefault(row.campaign_id, []).append(row)
    return found


def campaign_row(connection: sa.Connection, campaign_id: str) -> Row:
    """The campaign of that id, or `Invalid` (code `not_found`)."""
    row = connection.execute(sa.select(campaign).where(campaign.c.id == campaign_id)).one_or_none()
    if row is None:
        raise Invalid("there is no such campaign", field="campaign_id", code="not_found")
    return row


async def detail(
    kernel: Kernel, campaign_id: str, *, page: int = 1, size: int = PAGE, reader: str = ""
) -> Detail:
    """A campaign and one page of its people, those who need most care first; `reader` names who reads.

    Raises `Invalid` (code `not_found`).
    """
    return await kernel.store.read(lambda c: _detail(c, campaign_id, page, size, reader))


def _detail(connection: sa.Connection, campaign_id: str, page: int, size: int, reader: str) -> Detail:
    row = campaign_row(connection, campaign_id)
    people = sorted(people_of(connection, [campaign_id]).get(campaign_id, []), key=_care)
    pages = max(1, -(-len(people) // size))
    page = min(max(1, page), pages)
    shown = people[(page - 1) * size : page * size]
    leads = read_leads(connection, [person.lead_id for person in shown])
    read = frozenset(views(row).get(reader, ()))
    return Detail(
        id=row.id,
        run_id=row.run_id,
        name=row.name,
        type=row.type,
        tier=row.tier,
        state=row.state,
        version=row.version,
        hypothesis=row.hypothesis,
        depth=_depth(row),
        draft=DRAFT.validate_json(row.draft),
        due=row.review_due,
        decided_by=row.decided_by,
        reason=str(decision(row).get("reason", "")),
        vendor_ref=row.vendor_ref,
        states=Counter(person.state for person in people),
        variants=Counter(person.variant for person in people if person.state == "drafted"),
        findings=_kinds(people),
        recipients=tuple(
            recipient(row, one, leads.get(one.lead_id), read=one.lead_id in read) for one in shown
        ),
        page=page,
        pages=pages,
        reading=reading(row, people, reader),
    )


def _depth(row: Row) -> Depth:
    plan = decision(row).get("plan")
    return plan_of(row.decision).depth if isinstance(plan, dict) else "minimal"


def _care(person: Row) -> tuple[int, str]:
    """Who needs a yes of their own comes first, who is held last."""
    if person.state == "held":
        return 2, person.lead_id
    return (0 if is_alone(person) else 1), person.lead_id


def _kinds(people: Iterable[Row]) -> tuple[tuple[Finding, int], ...]:
    """Each kind of finding once, with how many people have it, worst first."""
    first: dict[str, Finding] = {}
    having: Counter[str] = Counter()
    for person in people:
        found = findings_of(person)
        for one in found:
            first.setdefault(one.code, one)
        having.update({one.code for one in found})
    order = {"block": 0, "hold": 1, "warn": 2}
    return tuple(sorted(((first[c], n) for c, n in having.items()), key=lambda kind: order[kind[0].severity]))


def findings_of(person: Row) -> tuple[Finding, ...]:
    """What compliance said of this person's messages."""
    return FINDINGS.validate_json(person.findings)


def is_alone(person: Row) -> bool:
    """Whether this person's messages need a yes of their own."""
    return verdict(findings_of(person)) in CAREFUL


def recipient(row: Row, person: Row, lead: Lead | None, *, read: bool) -> Recipient:
    """Somebody in the campaign of that row, with what is known of them."""
    enrollment = ENROLLMENT.validate_json(person.enrollment)
    return Recipient(
        lead_id=person.lead_id,
        email=person.email,
        name=lead.name if lead else f"{enrollment.first_name} {enrollment.last_name}".strip(),
        title=lead.title if lead else "",
        company=lead.company if lead else enrollment.company,
        variant=person.variant,
        state=person.state,
        reason=person.reason,
        messages=enrollment.messages,
        findings=findings_of(person),
        alone=one_by_one(row, person),
        read=read,
    )


# ── what was read ────────────────────────────────────────────────────────────────────────────────────────
def decision(row: Row) -> dict[str, object]:
    """The campaign's plan, who read what, and why it was decided as it was."""
    made: dict[str, object] = json.loads(row.decision) if row.decision else {}
    return made


def plan_of(made: str) -> Campaign:
    """The plan that a campaign was made by, out of its decision."""
    values = json.loads(made)["plan"]
    tuples = ("lead_ids", "day_offsets", "linkedin_touch_days")
    return Campaign(**{**values, **{name: tuple(values[name]) for name in tuples}})


def views(row: Row) -> dict[str, list[str]]:
    """By reader: the lead ids whose messages they read, in the words these have now."""
    found = decision(row).get("views", {})
    return {str(name): list(ids) for name, ids in found.items()} if isinstance(found, dict) else {}


def reading(row: Row, people: Sequence[Row], reader: str) -> Reading:
    """How much of what would be sent this reader has read, and how much is needed."""
    covered = [person for person in people if person.state == "drafted"]
    mine = frozenset(views(row).get(reader, ()))
    each = approves_each(row)
    alone = [person.lead_id for person in covered if each or is_alone(person)]
    return Reading(
        needed=min(_sample(row, len(covered)), len(covered)),
        read=sum(person.lead_id in mine for person in covered),
        unread_alone=tuple(lead_id for lead_id in alone if lead_id not in mine),
    )


def one_by_one(row: Row, person: Row) -> bool:
    """Whether the plan, or what compliance found, asks for a yes to this one by itself."""
    return approves_each(row) or is_alone(person)


def approves_each(row: Row) -> bool:
    """Whether the plan asks for a yes to each person's messages."""
    plan = decision(row).get("plan", {})
    return isinstance(plan, dict) and plan.get("approval") == "each"


def _sample(row: Row, covered: int) -> int:
    """How many people's messages have to be read; all where the plan doesn't say."""
    plan = decision(row).get("plan", {})
    size = plan.get("sample_size") if isinstance(plan, dict) else None
    return size if isinstance(size, int) else covered


async def recipient_of(kernel: Kernel, campaign_id: str, lead_id: str) -> tuple[int, Recipient]:
    """The campaign's version and one of its people. Raises `Invalid` (code `not_found`)."""

    def query(connection: sa.Connection) -> tuple[int, Recipient]:
        row = campaign_row(connection, campaign_id)
        here = (campaign_lead.c.campaign_id == campaign_id, campaign_lead.c.lead_id == lead_id)
        person = connection.execute(sa.select(campaign_lead).where(*here)).one_or_none()
        if person is None:
            raise Invalid("there is no such person in this campaign", field="lead_id", code="not_found")
        lead = read_leads(connection, [lead_id]).get(lead_id)
        return int(row.version), recipient(row, person, lead, read=False)

    return await kernel.store.read(query)
