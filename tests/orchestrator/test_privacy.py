"""A person's rights: who is meant, what is cut out and what isn't, going on after a crash, correcting, deadlines."""

import json
import os
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from orchestrator import forgotten, intake, privacy, retention, stops, stores, traces
from orchestrator.app import App
from orchestrator.commands.terminal import operator
from orchestrator.identity import EMAIL
from orchestrator.intake import read_leads
from orchestrator.normalise import lead_id
from orchestrator.processing_record import record
from orchestrator.subject import Subject, subject_of, unpacked
from orchestrator.watching import look
from shared.approval import Person
from shared.clock import iso
from shared.errors import ConfigError, Invalid
from shared.kernel import Kernel
from shared.lead import Lead
from shared.pipeline_schema import artefact, campaign, campaign_lead, event, handoff, privacy_request, stop
from shared.pipeline_schema import lead as lead_table
from shared.ports import SourcedLead
from shared.schema import effect, inbound
from shared.server import Server
from shared.settings import load_settings
from shared.suite import load_server
from tests.conftest import CONFIG
from tests.orchestrator.people import RULES, a_lead
from tests.orchestrator.world import a_run, alone, approved, launched, people, planned, put, rows, world

BY = Person("operator@alpha-swarm.example", "operator")
ANNA = a_lead(last_name="Bergström", email="anna@acme.example")
KNOWN = Subject(
    lead_ids=("lead-1",),
    addresses=("ana@corp.com", "ana.lee@gmail.com"),
    profiles=("linkedin.com/in/ana-lee",),
    phones=("15125550100",),
    names=("José O'Brien",),
)


# ── who is meant ─────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    "text",
    [
        "to ANA@corp.com.",
        '{"email":"ana+news@corp.com"}',
        "u=ana%40corp.com&x",
        "a.n.a.lee+x@googlemail.com",
        "https://www.linkedin.com/in/ana-lee/",
        "+1 (512) 555-0100",
        "José O'Brien",
        r"Jos\u00e9 O'Brien",
        "O'Brien, José",
        '"José","O\'Brien"',
        '{"people": ["lead-1"]}',
        f"clay:run:{lead_id('', 'ana@corp.com')}",
        lead_id("https://www.linkedin.com/in/ana-lee", ""),
    ],
)
def test_a_person_is_found_however_they_are_written(text: str) -> None:
    assert KNOWN.pattern.search(text)
    assert unpacked(KNOWN.packed).pattern.search(text)


@pytest.mark.parametrize(
    "text",
    [
        "diana@corp.com",
        "ana@corp.com.au",
        "ana@corp.company",
        "linkedin.com/in/ana-lee-2",
        "915125550100",
        "José Maria O'Brien",
        "jose-o'brien@x.com",
        "lead-12",
        "mislead-1",
        lead_id("", "diana@corp.com"),
        "",
    ],
)
def test_somebody_else_is_not_taken_for_them(text: str) -> None:
    assert not KNOWN.pattern.search(text)


async def test_a_name_that_two_people_have_tells_nobody(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    await a_run(app, [ANNA, replace(ANNA, id="lead-2", email="other@b.example", linkedin_url="")])
    found = await live_kernel.store.read(lambda c: subject_of(c, "anna+x@acme.example"))
    assert (found.lead_ids, found.names, found.addresses) == (("lead-1",), (), found.addresses)
    assert "anna@acme.example" in found.addresses


async def test_nobody_is_meant_by_what_names_nobody(live_kernel: Kernel) -> None:
    with pytest.raises(Invalid, match="nobody is known"):
        await privacy.erase(alone(live_kernel), "someone", by=BY)


@pytest.mark.requirement("E5")
def test_no_tool_exports_erases_or_rectifies() -> None:
    names = load_settings(CONFIG, {}).suite.servers
    servers: list[Server] = [load_server(name, names) for name in names]
    tools = {tool.name for server in servers for tool in server.tools}
    assert not {
        name for name in tools if any(word in name for word in ("privacy", "erase", "rectify", "subject"))
    }


# ── erasing ──────────────────────────────────────────────────────────────────────────────────────────────
async def _erasing(app: App, lead: Lead) -> str:
    """An erasure of somebody in a campaign, with their stops done, before anything is erased."""
    run_id, _ = await planned(app, [lead])
    await put(
        app, sa.insert(event).values(id="x:1", vendor="x", type="sent", lead_id=lead.id, reference=lead.email)
    )
    raw = json.dumps({"to": lead.email}).encode()
    of_them = f"open:{lead.email}"  # an id that stays, and names them
    await put(app, sa.insert(inbound).values(vendor="x", event_id=of_them, raw=raw, state="failed"))
    named = f"{lead.first_name} {lead.last_name}"
    told = json.dumps({"sample": [named, "somebody else"], "people": [lead.id, "lead-2"]})
    await put(app, sa.insert(artefact).values(id="a", run_id=run_id, phase="research", version=1, data=told))
    await put(
        app,
        sa.insert(effect).values(
            key="k", vendor="clay", action="enrich", target=lead.email, status="in_doubt"
        ),
    )
    made = await privacy.ask_erasure(app, lead.email, by=BY)
    await put(app, sa.update(stop).values(state="confirmed"))
    return made


async def _state(app: App) -> str:
    return str((await rows(app, sa.select(privacy_request)))[0].state)


async def test_nothing_is_erased_while_an_effect_is_in_doubt_or_a_stop_is_open(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    await _erasing(app, ANNA)
    assert await privacy.work(app) == 1
    (request,) = await privacy.listed(live_kernel)
    assert "effects to be settled" in request.waits_for
    assert await live_kernel.store.read(lambda c: read_leads(c, ["lead-1"]))


@pytest.mark.requirement("E6")
@pytest.mark.both_databases
@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("done", [1_000])
async def test_an_erasure_that_was_interrupted_goes_on(live_kernel: Kernel, done: int) -> None:
    app = alone(live_kernel)
    await _erasing(app, ANNA)
    await put(app, sa.update(effect).values(status="applied"))
    subject = unpacked((await rows(app, sa.select(privacy_request)))[0].subject)
    for table in stores.tables()[:done]:
        await live_kernel.store.write(lambda c, t=table: stores.erase(c, t, subject))  # type: ignore[misc]  # bound now
    await privacy.work(app)
    assert await _state(app) == "tickets"
    assert not await live_kernel.store.read(lambda c: stores.left(c, subject))
    (kept,) = await rows(app, sa.select(artefact.c.data).where(artefact.c.id == "a"))
    assert kept.data == '{"sample": ["(erased)", "somebody else"], "people": ["(erased)", "lead-2"]}'
    assert not await live_kernel.store.read(_cells_with_id)
    (webhook,) = await rows(app, sa.select(inbound))
    assert (webhook.raw, webhook.event_id[:13]) == (b"", "open:(erased ")
    assert [(row.type, row.lead_id) for row in await rows(app, sa.select(event))] == [("sent", "")]
    assert await rows(app, sa.select(campaign_lead)) == []
    assert (await rows(app, sa.select(privacy_request)))[0].subject == "{}"
    if live_kernel.store.path:
        assert ANNA.email.encode() not in live_kernel.store.path.read_bytes()


def _cells_with_id(connection: sa.Connection) -> list[str]:
    """Every "table.column" with our id of the person: it is made of their profile, and anybody can make it again."""
    held = re.compile(rf"(?<![\w-]){re.escape(ANNA.id)}(?![\w-])")
    found = []
    for name in sa.inspect(connection).get_table_names():
        for row in connection.execute(sa.text(f'SELECT * FROM "{name}"')).mappings():
            found += [f"{name}.{key}" for key, value in row.items() if held.search(stores.readable(value))]
    return found


async def test_asking_again_while_it_is_under_way_asks_nothing_new(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    made = await _erasing(app, ANNA)
    assert await privacy.ask_erasure(app, ANNA.email.upper(), by=BY) == made


async def test_an_overdue_request_is_seen_by_the_watch(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    await _erasing(app, ANNA)
    assert (await look(live_kernel, {})).privacy.count == 0
    late = iso(live_kernel.clock.now() - timedelta(minutes=5))
    await put(app, sa.update(privacy_request).values(due_at=late))
    assert (await look(live_kernel, {})).privacy.oldest_seconds >= 300
    assert [one.overdue for one in await privacy.listed(live_kernel)] == [True]


@pytest.mark.requirement("E2")
async def test_whoever_was_erased_is_not_taken_in_again_until_a_person_lifts_it(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    await a_run(app, [ANNA])
    await privacy.ask_erasure(app, ANNA.email, by=BY)
    by_mail = SourcedLead(email="Anna+x@acme.example", first_name="Anna")
    by_profile = SourcedLead(linkedin_url="http://linkedin.com/in/anna-berg/", first_name="Anna")
    other = SourcedLead(email="bo@acme.example")
    rows_in = [by_mail, by_profile, other]
    kept = await live_kernel.store.write(lambda c: forgotten.without_in(live_kernel, c, rows_in))
    assert kept == [other]
    await live_kernel.suppression.lift(ANNA.email, actor="ada", reason="she wrote to us")
    again = await live_kernel.store.write(lambda c: forgotten.without_in(live_kernel, c, rows_in))
    assert again == [by_mail, other]


def test_records_leave_a_table_and_mentions_another_text(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "pepper").write_text("ana@corp.com")  # ours: not looked into
    table = tmp_path / "in.csv"
    table.write_text(
        'name,note\nAna,"two\nlines ana@corp.com"\nBo,diana@corp.com\nCy,"open\n', encoding="utf-8"
    )
    (tmp_path / "log.txt").write_text("a\nsent to ana@corp.com today\n")
    (tmp_path / "scan.xlsx").write_bytes(b"PK\0\1")
    looked = traces.erase(tmp_path, KNOWN)
    assert looked == traces.Looked(("in.csv", "log.txt"), ("scan.xlsx",))
    assert table.read_text() == 'name,note\nBo,diana@corp.com\nCy,"open\n'
    assert (tmp_path / "log.txt").read_text() == "a\nsent to (erased) today\n"
    assert traces.erase(tmp_path, KNOWN).changed == ()


def test_a_file_that_is_named_after_them_gets_another_name(tmp_path: Path) -> None:
    (tmp_path / "for Ana@corp.com.pdf").write_bytes(b"PK\0\1")
    (tmp_path / "diana@corp.com.txt").write_text("diana@corp.com")
    (named,) = traces.erase(tmp_path, KNOWN).unreadable
    assert re.fullmatch(r"for erased-[0-9a-f]{8}\.pdf", named)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["diana@corp.com.txt", named]


# ── what is removed by its age ───────────────────────────────────────────────────────────────────────────
async def _aged(app: App, lead: Lead, days: int) -> None:
    old = iso(app.kernel.clock.now() - timedelta(days=days))
    write = sa.update(lead_table).where(lead_table.c.id == lead.id).values(created_at=old, updated_at=old)
    await put(app, write)


@pytest.mark.parametrize(
    ("days", "contacted", "answered", "kind"),
    [
        (91, False, False, "uncontacted"),
        (89, False, False, ""),
        (366, True, False, "silent"),
        (364, True, False, ""),
        (731, True, True, "answered"),
        (729, True, True, ""),
    ],
)
async def test_people_are_over_their_time_by_what_came_of_them(
    live_kernel: Kernel, days: int, contacted: bool, answered: bool, kind: str
) -> None:
    app = alone(live_kernel)
    _, (campaign_id,) = await planned(app, [ANNA])
    await put(app, sa.update(campaign).values(state="completed"))
    await put(app, sa.update(campaign_lead).values(contact_ref="c1" if contacted else ""))
    if answered:
        at = iso(live_kernel.clock.now() - timedelta(days=days))
        await put(app, sa.insert(event).values(id="e", type="replied", lead_id=ANNA.id, received_at=at))
    await _aged(app, ANNA, days)
    found = await retention.due(live_kernel, app.rules.privacy.retention)
    assert [one.name for one in found if one.count] == ([kind] if kind else [])
    assert await retention.apply(app) == ({kind: 1} if kind else {})
    assert bool(await rows(app, sa.select(lead_table))) is not bool(kind)
    assert not any(one.count for one in await retention.due(live_kernel, app.rules.privacy.retention))
    assert (await live_kernel.audit.verify()).ok
    assert campaign_id


async def test_an_address_that_somebody_was_known_by_before_goes_with_them(live_kernel: Kernel) -> None:
    app, old = alone(live_kernel), "anna@former.com"
    _, _ = await planned(app, [ANNA])
    await put(app, sa.update(campaign).values(state="completed"))
    await live_kernel.store.write(lambda c: intake.know_as(c, ANNA.id, [f"{EMAIL}{old}"]))
    await stops.suppress(live_kernel, old, reason="asked", source="test", actor="test")
    await _aged(app, ANNA, 5_000)
    assert await retention.apply(app) == {}  # the vendors are still to be told
    await put(app, sa.update(stop).values(state="confirmed"))
    assert await retention.apply(app) == {"uncontacted": 1}
    assert await rows(app, sa.select(stop)) == []
    assert await live_kernel.store.read(lambda c: live_kernel.suppression.check(c, [old]))


async def test_nobody_is_removed_while_their_campaign_runs(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    await planned(app, [ANNA])
    await _aged(app, ANNA, 5_000)
    assert await retention.apply(app) == {}


async def test_what_is_about_dealing_with_people_is_removed_by_its_age_too(live_kernel: Kernel) -> None:
    app, home = alone(live_kernel), live_kernel.settings.home
    now = live_kernel.clock.now()
    for number, (days, state) in enumerate([(31, "done"), (31, "failed"), (29, "done")]):
        at = iso(now - timedelta(days=days))
        values = {"vendor": "x", "event_id": str(number), "raw": b"{}", "state": state, "received_at": at}
        await put(app, sa.insert(inbound).values(**values))
    old = iso(now - timedelta(days=91))
    for identifier, state in (("a", "done"), ("b", "tickets")):
        await put(app, sa.insert(privacy_request).values(id=identifier, state=state, done_at=old))
    (home / "quarantine").mkdir()
    for name, days in (("old.csv", 31), ("new.csv", 29)):
        file = home / "quarantine" / name
        file.write_text("row")
        os.utime(file, (0, (now - timedelta(days=days)).timestamp()))
    assert await retention.apply(app) == {"webhook": 1, "file": 1, "request": 1}
    assert [row.raw for row in await rows(app, sa.select(inbound).order_by(inbound.c.id))] == [
        b"",
        b"{}",
        b"{}",
    ]
    assert [one.id for one in await privacy.listed(live_kernel)] == ["b"]
    assert [one.name for one in (home / "quarantine").iterdir()] == ["new.csv"]


def test_the_record_names_every_vendor_and_refuses_one_that_nobody_described() -> None:
    found = record(RULES.privacy, dict.fromkeys(load_settings(CONFIG, {}).vendors, ""))
    assert all(f"| {name} |" in found for name in load_settings(CONFIG, {}).vendors)
    assert "`campaign_lead`" in found
    with pytest.raises(ConfigError, match="lacks another"):
        record(RULES.privacy, {"another": ""})


# ── correcting ───────────────────────────────────────────────────────────────────────────────────────────
async def test_a_correction_reaches_the_crm_and_hands_out_the_rest(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        (somebody,) = people(1)
        _, campaign_id = await approved(it.app, [somebody])
        assert await launched(it.app, campaign_id) == "live"
        changes = {"title": "Chief Revenue Officer", "last_name": "Ng"}
        made = await privacy.rectify(it.app, somebody.email, changes, by=operator(), why="their letter")
        found = (await it.kernel.store.read(lambda c: read_leads(c, [somebody.id])))[somebody.id]
        assert (found.title, found.last_name, found.sources[-1].name) == (*changes.values(), "rectification")
        contact = (await it.app.suite.crm.get_contact(email=somebody.email)).contacts[0]
        assert contact.last_name == "Ng"
        tickets: list[dict[str, Any]] = [
            json.loads(one.detail) for one in await rows(it.app, sa.select(handoff))
        ]
        assert {one["vendor"] for one in tickets} == {"instantly"}
        assert made.state == "tickets"


@pytest.mark.parametrize("changes", [{"score": "9"}, {}])
async def test_only_what_is_said_of_a_person_can_be_corrected(
    live_kernel: Kernel, changes: dict[str, str]
) -> None:
    app = alone(live_kernel)
    await a_run(app, [ANNA])
    with pytest.raises(Invalid):
        await privacy.rectify(app, ANNA.email, changes, by=BY, why="a letter")
