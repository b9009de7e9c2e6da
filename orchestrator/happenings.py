"""Every domain event, typed: what happened to leads, runs, campaigns, handoffs and people, in the order it happened.

Each is stored once, in the row that it changed, with its moment; this reads them together. What vendors told is in the
table `event` under the vendor's id, so a webhook that comes twice is one event. Nobody is named: people go by our id.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast, get_args

import sqlalchemy as sa

from shared.event import EventType
from shared.sql import run

OwnKind = Literal[
    "lead_found",
    "run_started",
    "run_finished",
    "artefact_saved",
    "campaign_drafted",
    "campaign_approved",
    "reply_classified",
    "handoff_created",
    "handoff_acknowledged",
    "handoff_closed",
    "touch_ended",
    "stop_asked",
    "stop_confirmed",
    "rule_halted",
    "halt_cleared",
    "report_kept",
]
Kind = OwnKind | EventType
KINDS: tuple[str, ...] = (*get_args(OwnKind), *get_args(EventType))
# Kind → table, the moment's column, subject, lead, campaign, detail: columns or constants of ours.
OWN: Mapping[OwnKind, tuple[str, str, str, str, str, str]] = {
    "lead_found": ("lead", "created_at", "id", "id", "''", "''"),
    "run_started": ("run", "started_at", "id", "''", "''", "mode"),
    "run_finished": ("run", "finished_at", "id", "''", "''", "state"),
    "artefact_saved": ("artefact", "made_at", "id", "''", "''", "phase"),
    "campaign_drafted": ("campaign", "created_at", "id", "''", "id", "tier"),
    "campaign_approved": (
        "campaign JOIN approval ON approval.id = campaign.approval_id",
        "approval.at",
        "campaign.id",
        "''",
        "campaign.id",
        "campaign.tier",
    ),
    "reply_classified": ("reply", "at", "event_id", "lead_id", "campaign_id", "class"),
    "handoff_created": ("handoff", "created_at", "id", "lead_id", "campaign_id", '"trigger"'),
    "handoff_acknowledged": ("handoff", "acknowledged_at", "id", "lead_id", "campaign_id", '"trigger"'),
    "handoff_closed": ("handoff", "closed_at", "id", "lead_id", "campaign_id", '"trigger"'),
    "touch_ended": ("touch", "at", "id", "lead_id", "campaign_id", "state"),
    "stop_asked": ("stop", "at", "id", "''", "''", "kind"),
    "stop_confirmed": ("stop", "confirmed_at", "id", "''", "''", "kind"),
    "rule_halted": ("halt", "at", "scope", "''", "''", "rule"),
    "halt_cleared": ("halt", "cleared_at", "scope", "''", "''", "rule"),
    "report_kept": ("report", "made_at", "begins", "''", "''", "period"),
}
TOLD = (
    "SELECT type AS kind, received_at AS at, id AS subject, lead_id, campaign_id, vendor AS detail FROM event"
)


@dataclass(frozen=True, slots=True)
class Happening:
    """One domain event. `subject` is our id of what it is about."""

    at: str
    kind: Kind
    subject: str
    lead_id: str
    campaign_id: str
    detail: str


def happenings(
    connection: sa.Connection, since: str, until: str, *, kinds: Sequence[str] = (), limit: int = 100
) -> list[Happening]:
    """Those from `since` up to `until`, the oldest first; all kinds if none is named."""
    found: list[Happening] = []
    for sql, values in _questions(kinds):
        asked = f"{sql} ORDER BY at, subject LIMIT {limit:d}"
        found += [_happening(row) for row in run(connection, asked, *values, since, until)]
    return sorted(found, key=lambda one: (one.at, one.kind, one.subject))[:limit]


def _questions(kinds: Sequence[str]) -> list[tuple[str, tuple[str, ...]]]:
    wanted = set(kinds or KINDS)
    asked: list[tuple[str, tuple[str, ...]]] = [
        (_own(kind, *columns), ()) for kind, columns in OWN.items() if kind in wanted
    ]
    told = tuple(sorted(wanted & set(get_args(EventType))))
    marks = ",".join("?" * len(told))
    if told:
        asked.append((f"{TOLD} WHERE type IN ({marks}) AND received_at >= ? AND received_at < ?", told))
    return asked


def _own(kind: str, table: str, at: str, subject: str, lead: str, campaign: str, detail: str) -> str:
    """What isn't over has no moment, and is no event yet."""
    columns = (
        f"'{kind}' AS kind, {at} AS at, {subject} AS subject, {lead} AS lead_id, {campaign} AS campaign_id"
    )
    return f"SELECT {columns}, {detail} AS detail FROM {table} WHERE {at} >= ? AND {at} < ?"  # noqa: S608 - constants


def _happening(row: Mapping[str, str]) -> Happening:
    kind = cast("Kind", row["kind"])  # ours, or a vendor's word that a table mapped
    return Happening(row["at"], kind, row["subject"], row["lead_id"], row["campaign_id"], row["detail"])
