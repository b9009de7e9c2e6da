"""Somebody goes through everything, and is erased: nothing of ours names them, and nobody writes to them again.

Tables are those that the schema has, and files those that lie there, so that what is new is looked through too.
"""

import asyncio
import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from orchestrator import by_hand, privacy
from orchestrator.normalise import lead_id
from orchestrator.privacy import Request
from shared.approval import Person
from shared.audit import Verdict
from shared.errors import Invalid
from shared.pipeline_schema import handoff, lead
from shared.schema import effect, metadata
from tests.journeys.journey import (
    OPERATOR,
    Journey,
    Prospect,
    installed,
    who_asks_for_a_meeting,
    write_export,
)
from tests.journeys.test_one_lead import unsubscribed

PHONE = "+15125550147"
OTHER = Prospect(900_001)


@dataclass(frozen=True, slots=True)
class After:
    """What is there once it is over."""

    person: Prospect
    shown: dict[str, Any]  # what the person was shown before
    request: Request
    again: Request
    closed: Request
    stays: dict[str, bool]  # spelling → whether the list stops it
    proof: Verdict
    cells: list[str]  # "table.column" that hold something of theirs
    files: list[str]
    steps: list[str]
    logged: str
    effects: list[dict[str, Any]]
    others: list[str]  # addresses of leads that are left


def traces(person: Prospect) -> re.Pattern[str]:
    """Address, name, phone, profile and our id, however they are written down; written apart from what erases."""
    slug, ours = person.profile.rsplit("/", 1)[-1], lead_id(person.profile, person.email)
    mail = re.escape(person.email)
    return re.compile(
        rf"{mail}|{slug}|{ours}|5125550147|512.555.0147|Dana[\s,\"]+Field\b|Field[\s,\"]+Dana\b",
        re.IGNORECASE,
    )


async def _cells(journey: Journey, found: re.Pattern[str]) -> list[str]:
    def query(connection: sa.Connection) -> list[str]:
        names = sa.inspect(connection).get_table_names()
        assert set(metadata.tables) <= set(names)
        hits = []
        for name in names:
            for row in connection.execute(sa.text(f'SELECT * FROM "{name}"')).mappings():
                texts = {
                    key: value.decode("latin-1") if isinstance(value, bytes) else str(value)
                    for key, value in row.items()
                }
                hits += [f"{name}.{key}" for key, text in texts.items() if found.search(text)]
        return hits

    return await journey.app.kernel.store.read(query)


def _files(home: Path, found: re.Pattern[str]) -> list[str]:
    every = [path for path in home.rglob("*") if path.is_file()]
    return [path.name for path in every if found.search(path.read_bytes().decode("latin-1"))]


async def _erased(folder: Path) -> After:
    person = who_asks_for_a_meeting()
    found = traces(person)
    async with installed(folder, safe=False) as journey:
        rows = [{**person.row("Software"), "phone": PHONE}, {**OTHER.row("Software"), "firstName": "Ines"}]
        export = write_export(journey.home / "imports" / "export.csv", rows)
        (journey.home / "notes.txt").write_text(f"Call Dana Field, {person.email.upper()}\nand others\n")
        run = await journey.to_review(export)
        await journey.approve(OPERATOR)
        await journey.finished(run)
        await journey.some(handoff)
        await journey.done("ghl", "update_opportunity")
        campaign = (await journey.rows(sa.Table("campaign", metadata)))[0]["vendor_ref"]
        assert await journey.post_event(unsubscribed(person, campaign)) == 200
        await journey.stopped(person.email)
        app = journey.app
        shown = await privacy.export(app, person.email, by=OPERATOR)
        request = await privacy.erase(app, person.email.replace("@", "+news@"), by=OPERATOR)
        kernel = app.kernel
        again = await privacy.erase(app, person.email, by=OPERATOR)
        tickets = [row for row in await journey.rows(handoff) if row["trigger"] == by_hand.TICKET]
        steps = [step for row in tickets for step in json.loads(row["detail"])["steps"]]
        for row in tickets:
            await privacy.close_ticket(app, row["id"][:12], by=OPERATOR, note="done")
        closed = next(one for one in await privacy.listed(kernel) if one.id == request.id)
        spelled = (person.email, person.email.upper(), person.email.replace("@", "+x@"), "ines@else.example")
        stays = {one: bool(await kernel.suppression.refused([one])) for one in spelled}
        cells = await _cells(journey, found)
        await kernel.store.scrub()
        return After(
            person=person,
            shown=shown,
            request=request,
            again=again,
            closed=closed,
            stays=stays,
            proof=await kernel.audit.verify(),
            cells=cells,
            files=_files(journey.home, found),
            steps=steps,
            logged=str(journey.logged),
            effects=await journey.rows(effect),
            others=[row["email"] for row in await journey.rows(lead)],
        )


@pytest.fixture(scope="module")
def after(tmp_path_factory: pytest.TempPathFactory) -> After:
    """The journey and the erasure, once."""
    return asyncio.run(_erased(tmp_path_factory.mktemp("erased")))


@pytest.mark.requirement("E1")
def test_no_table_names_who_was_erased(after: After) -> None:
    assert sorted(set(after.cells)) == []


@pytest.mark.requirement("E1")
def test_no_file_names_who_was_erased_byte_by_byte(after: After) -> None:
    assert after.files == []


def test_no_line_of_the_log_names_them(after: After) -> None:
    assert after.person.email not in after.logged


@pytest.mark.requirement("E2", "C4")
def test_whoever_was_erased_stays_on_the_list_however_they_are_spelled(after: After) -> None:
    assert list(after.stays.values()) == [True, True, True, False]


@pytest.mark.requirement("E3")
def test_the_audit_log_is_whole_without_the_details_that_were_erased(after: After) -> None:
    assert after.proof.ok, after.proof
    assert after.proof.erased > 0


def test_what_was_done_outside_is_still_on_record_without_whom(after: After) -> None:
    done = [row for row in after.effects if row["status"] == "applied"]
    assert {"upsert_contact", "add_lead"} <= {row["action"] for row in done}


def test_nobody_else_is_touched(after: After) -> None:
    assert after.others == [OTHER.email]


@pytest.mark.requirement("E4")
def test_what_has_to_be_done_by_hand_says_how_and_names_the_vendors_own_id(after: After) -> None:
    of_crm = [step for step in after.steps if step.startswith("ghl: ")]
    assert re.search(r"search by id for \w{10,}", of_crm[0])
    assert any(step.startswith("instantly: Unibox") for step in after.steps)
    assert after.request.state == "tickets"
    assert after.closed.state == "done"


def test_asked_again_there_is_nothing_left_to_do(after: After) -> None:
    assert (after.again.state, after.again.tickets) == ("done", 0)


def test_before_that_they_were_shown_everything(after: After) -> None:
    held = after.shown["held"]
    assert held["lead"][0]["email"] == after.person.email
    assert held["lead"][0]["data"]["phone"] == PHONE
    assert {
        "lead",
        "campaign_lead",
        "run_lead",
        "event",
        "reply",
        "effect",
        "audit_detail",
        "inbound",
    } <= set(held)
    assert "imports/export.csv" in after.shown["files"]
    assert after.shown["do_not_contact"][after.person.email]["reason"]
    assert OTHER.email not in json.dumps(held, default=str)


@pytest.mark.parametrize("role", ["viewer", "ae", "agent"])
@pytest.mark.requirement("E5")
async def test_only_an_operator_or_an_admin_may_ask(live_kernel: Any, role: str) -> None:
    from tests.orchestrator.world import alone

    app, by = alone(live_kernel), replace(Person("x@alpha-swarm.example", "admin"), role=role)
    for ask in (privacy.export, privacy.erase):
        with pytest.raises(Invalid, match="operator or an admin"):
            await ask(app, "anna@corp.com", by=by)
