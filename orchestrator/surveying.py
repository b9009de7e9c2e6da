"""Research's last stage: everybody of a run is read once more, and what was found is saved."""

import json
from collections.abc import Iterator

import sqlalchemy as sa
from pydantic import TypeAdapter

from orchestrator import artefacts
from orchestrator.app import App
from orchestrator.findings import Findings, Tally, Worth
from orchestrator.intake import LEAD
from orchestrator.track_record import track_record
from shared.effect import digest
from shared.lead import Lead
from shared.pipeline_schema import lead, run, run_lead

FINDINGS = TypeAdapter(Findings)
PAGE = 500
LEADS = "leads/v1"


async def write_findings(app: App, run_id: str) -> dict[str, int]:
    """Save the findings of a run, once for each time it was researched. Returns their version."""
    now = app.kernel.clock.now()
    record = await app.kernel.store.read(
        lambda c: track_record(
            c,
            app.rules.outreach.planning,
            app.kernel.settings.safety.halts.negative_replies.automatic,
            now,
        )
    )
    tally, whole, after = Tally(app.rules), digest(LEADS, run_id), ""
    while rows := await app.kernel.store.read(lambda c, a=after: list(_page(c, run_id, a))):  # type: ignore[misc]  # mypy can't infer it
        for found, worth, seen in rows:
            tally.add(found, worth)
            whole = digest(whole, found.id, seen, worth.tier)
        after = rows[-1][0].id
    findings = tally.findings(whole, record)

    def save(connection: sa.Connection) -> int:
        turn = connection.execute(sa.select(run.c.turn).where(run.c.id == run_id)).scalar_one()
        known = artefacts.newest_in(connection, run_id, "research")
        if known is not None and known.data.get("turn") == turn:
            return known.version
        data = {"turn": turn, "findings": FINDINGS.dump_python(findings, mode="json")}
        why = "researched" if turn == 1 else "researched anew"
        return artefacts.put_in(
            connection, run_id, "research", data, state="saved", by="worker", why=why, now=now
        )

    return {"version": await app.kernel.store.write(save)}


def findings_of(found: artefacts.Artefact) -> Findings:
    """What a saved research artefact says."""
    return FINDINGS.validate_python(found.data["findings"])


def _page(connection: sa.Connection, run_id: str, after: str) -> Iterator[tuple[Lead, Worth, str]]:
    columns = (lead.c.data.label("known"), run_lead)
    query = (
        sa.select(*columns)
        .join(run_lead, run_lead.c.lead_id == lead.c.id)
        .where(run_lead.c.run_id == run_id, run_lead.c.lead_id > after)
        .order_by(run_lead.c.lead_id)
        .limit(PAGE)
    )
    for row in connection.execute(query):
        yield LEAD.validate_json(row.known), _worth(row), row.seen


def _worth(row: sa.Row[tuple[object, ...]]) -> Worth:
    made = json.loads(row.data)
    return Worth(
        tier=row.tier,
        score=row.score,
        intent=made.get("intent", 0),
        gaps=tuple(made.get("gaps", ())),
        review=tuple(made.get("review", ())),
        seniority=made.get("seniority", "unknown"),
        against=tuple(made.get("against", ())),
        enrichment=row.enrichment,
    )
