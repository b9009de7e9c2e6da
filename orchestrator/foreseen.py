"""Every external effect that launching a run's campaigns would have: counted, listed page by page, fingerprinted.

    per campaign   contact and opportunity of each person ─ the campaign ─ each person added ─ its start
    later          the CRM is told of each person whom a first message has left for

Names and targets are those of the ledger, so that the two can be laid side by side afterwards. The vendor sends
the messages themselves once a campaign is started; what answers lead to can't be foreseen.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from orchestrator.dossier import ACTIVATE, ADD_LEAD
from shared.address import read_address
from shared.errors import Invalid
from shared.pipeline_schema import campaign, campaign_lead

CONTACT, DEAL, CREATE, TELL, MOVE = (
    "ghl.upsert_contact",
    "ghl.create_opportunity",
    "instantly.create_campaign",
    "ghl.update_contact",
    "ghl.move_opportunity",
)
# Each person has one of these; of a campaign there is one CREATE before ADD_LEAD and one ACTIVATE at the end.
OF_EACH = (CONTACT, DEAL, ADD_LEAD)
AFTERWARDS = (TELL, MOVE)
When = Literal["launch", "after the first message"]
# Campaigns that something of is still to come, or has come.
COUNTING = ("pending_review", "approved", "launching", "stalled", "live", "simulated", "paused", "completed")


@dataclass(frozen=True, slots=True)
class EffectCount:
    """So many effects of one kind."""

    when: When
    action: str
    count: int


@dataclass(frozen=True, slots=True)
class Foreseen:
    """One effect. `target` is an address, or our id of a campaign."""

    when: When
    action: str
    target: str
    lead_id: str
    campaign_id: str


@dataclass(frozen=True, slots=True)
class Cast:
    """A campaign and how many people in it would be written to."""

    campaign_id: str
    people: int

    @property
    def effects(self) -> int:
        """How many there are, those that come later included."""
        return (len(OF_EACH) + len(AFTERWARDS)) * self.people + 2 if self.people else 0


def casts_in(connection: sa.Connection, run_id: str, *, listed: bool = False) -> list[Cast]:
    """The campaigns of a run that count, by id. `listed`: with the people whom implement was asked for."""
    who = campaign_lead.c.listed > 0 if listed else campaign_lead.c.state == "drafted"
    people = sa.select(sa.func.count()).where(campaign_lead.c.campaign_id == campaign.c.id, who)
    mine = [campaign.c.run_id == run_id, *([] if listed else [campaign.c.state.in_(COUNTING)])]
    query = sa.select(campaign.c.id, people.scalar_subquery()).where(*mine)
    rows = connection.execute(query.order_by(campaign.c.id))
    return [Cast(identifier, count) for identifier, count in rows if count]


def counts(casts: Sequence[Cast]) -> tuple[EffectCount, ...]:
    """By kind, in the order in which they happen."""
    people, campaigns = sum(cast.people for cast in casts), len(casts)
    each: tuple[tuple[When, str, int], ...] = (
        ("launch", CONTACT, people),
        ("launch", DEAL, people),
        ("launch", CREATE, campaigns),
        ("launch", ADD_LEAD, people),
        ("launch", ACTIVATE, campaigns),
        *(("after the first message", action, people) for action in AFTERWARDS),
    )
    return tuple(EffectCount(*row) for row in each if row[2])


def page(
    connection: sa.Connection, casts: Sequence[Cast], offset: int, limit: int, *, listed: bool = False
) -> tuple[Foreseen, ...]:
    """So many effects from that place on, in the order in which they happen within each campaign."""
    found: list[Foreseen] = []
    for cast in casts:
        if offset >= cast.effects:
            offset -= cast.effects
            continue
        room = limit - len(found)
        every = of_campaign(connection, cast, listed=listed)
        found += [one for number, one in enumerate(every) if offset <= number < offset + room]
        offset = 0
        if len(found) >= limit:
            break
    return tuple(found)


def every_one(connection: sa.Connection, run_id: str, *, listed: bool = False) -> Iterator[Foreseen]:
    """All of them, one campaign after the other."""
    for cast in casts_in(connection, run_id, listed=listed):
        yield from of_campaign(connection, cast, listed=listed)


def of_campaign(connection: sa.Connection, cast: Cast, *, listed: bool) -> list[Foreseen]:
    """All of one campaign's."""
    who = campaign_lead.c.listed > 0 if listed else campaign_lead.c.state == "drafted"
    query = (
        sa.select(campaign_lead.c.lead_id, campaign_lead.c.email)
        .where(campaign_lead.c.campaign_id == cast.campaign_id, who)
        .order_by(campaign_lead.c.lead_id)
    )
    people = list(connection.execute(query))

    def each(when: When, *actions: str) -> list[Foreseen]:
        return [
            Foreseen(when, action, _target(row.email), row.lead_id, cast.campaign_id)
            for row in people
            for action in actions
        ]

    def once(action: str) -> Foreseen:
        return Foreseen("launch", action, cast.campaign_id, "", cast.campaign_id)

    return [
        *each("launch", CONTACT, DEAL),
        once(CREATE),
        *each("launch", ADD_LEAD),
        once(ACTIVATE),
        *each("after the first message", *AFTERWARDS),
    ]


def _target(email: str) -> str:
    """The address as effects name it; one that can't be read is refused by the gate under what it is called."""
    try:
        return read_address(email).exact
    except Invalid:
        return email
