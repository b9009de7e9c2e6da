"""One lead from a provider's file to a reply, a handoff and an opt-out: the same wherever the servers run.

Each journey is made once; the tests read what the emulators hold and what our database says of it.
"""

import asyncio
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

from orchestrator.runs import Run
from servers.ghl.sandbox_state import FIELDS
from shared import pipeline_schema, schema
from shared.audit import Verdict
from shared.sandbox import MAX_SHOWN
from tests.journeys.journey import (
    OPERATOR,
    Binding,
    Journey,
    Prospect,
    Row,
    installed,
    who_asks_for_a_meeting,
    write_export,
)
from tests.postgres import Server

TABLES = (
    schema.approval_item,
    schema.audit_leaf,
    pipeline_schema.campaign,
    pipeline_schema.campaign_lead,
    schema.effect,
    pipeline_schema.event,
    pipeline_schema.handoff,
    schema.inbound,
    pipeline_schema.lead,
    schema.process,
    pipeline_schema.reply,
    pipeline_schema.run_lead,
    schema.spend,
    pipeline_schema.stop,
)
# What the run itself asks of the vendors; the rest answers to what people do, or prepares.
OF_THE_RUN = {
    "clay.enrich",
    "ghl.upsert_contact",
    "ghl.create_opportunity",
    "instantly.create_campaign",
    "instantly.add_lead",
    "instantly.activate_campaign",
}
STOPPING = {"instantly.remove_lead", "instantly.add_to_blocklist", "ghl.set_dnc"}
CUSTOM = {f"sandboxField{position:08d}": name for position, (name, *_) in enumerate(FIELDS)}
REPLIED_STAGE = "sandbox-stage-2"


@dataclass(frozen=True, slots=True)
class Story:
    """What is left of a journey: the witnesses' words and our own records."""

    person: Prospect
    run: Run
    us: str  # the id of the process that the orchestrator ran in
    logs: dict[str, list[Row]]
    requests: dict[str, list[Row]]
    tables: dict[str, list[Row]]
    suppressed: bool
    proof: Verdict
    errors: list[str]  # what the log calls an error

    def done(self, account: str, action: str) -> list[Row]:
        """Writes of one kind that an emulator took."""
        return [entry for entry in self.logs[account] if entry["action"] == action]

    def only(self, account: str, action: str) -> Row:
        """The one write of that kind."""
        (entry,) = self.done(account, action)
        return entry

    def row(self, table: str) -> Row:
        """The one row of a table."""
        (row,) = self.tables[table]
        return row

    def effects(self, *actions: str) -> list[Row]:
        """Rows of the ledger, by `vendor.action`."""
        return [row for row in self.tables["effect"] if f"{row['vendor']}.{row['action']}" in actions]


def unsubscribed(person: Prospect, campaign: str) -> dict[str, object]:
    """What Instantly posts when somebody follows the link in a message."""
    return {
        "timestamp": "2026-11-02T09:30:00.000Z",
        "event_type": "lead_unsubscribed",
        "workspace": "00000000-0000-4000-8000-000000000001",
        "campaign_id": campaign,
        "lead_email": person.email,
        "step": 1,
        "variant": 1,
    }


async def travelled(folder: Path, binding: Binding, *, safe: bool, database: str = "") -> Story:
    """Make the whole journey. In safe mode the file says everything, since a look-up would find nothing."""
    person = who_asks_for_a_meeting()
    async with installed(folder, binding, safe=safe, database=database) as journey:
        export = write_export(journey.home / "export.csv", [person.row("Software" if safe else "")])
        run = await journey.to_review(export)
        await journey.approve(OPERATOR)
        run = await journey.finished(run)
        if not safe:
            await journey.some(pipeline_schema.handoff)
            await journey.done("ghl", "update_opportunity")
        campaign = (await journey.rows(pipeline_schema.campaign))[0]["vendor_ref"]
        assert await journey.post_event(unsubscribed(person, campaign)) == 200
        await journey.stopped(person.email)
        await journey.understood()  # who opts out is stopped before that
        return await told(journey, person, run)


async def told(journey: Journey, person: Prospect, run: Run) -> Story:
    """Everything the tests look at."""
    kernel = journey.app.kernel

    def check(connection: sa.Connection) -> bool:
        return bool(kernel.suppression.check(connection, [person.email]))

    return Story(
        person=person,
        run=run,
        us=kernel.presence.id,
        logs=await journey.logs(),
        requests=await journey.requests(),
        tables={table.name: await journey.rows(table) for table in TABLES},
        suppressed=await kernel.store.read(check),
        proof=await kernel.audit.verify(),
        errors=[str(line["event"]) for line in journey.logged if line["log_level"] in {"error", "critical"}],
    )


@pytest.fixture(scope="module", params=["in_process", "stdio", "http", "stdio on postgresql"])
def story(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """The live journey, once for each way of reaching the servers; and once more with all of them on one server."""
    binding, _, database = request.param.partition(" on ")
    folder = tmp_path_factory.mktemp(binding)
    if not database:
        return asyncio.run(travelled(folder, binding, safe=False))
    server: Server = request.getfixturevalue("postgres")
    with server.lent() as url:
        return asyncio.run(travelled(folder, binding, safe=False, database=url))


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """The journey in safe mode."""
    return asyncio.run(travelled(tmp_path_factory.mktemp("safe"), "in_process", safe=True))


# ── there ────────────────────────────────────────────────────────────────────────────────────────────────
def test_what_the_file_leaves_out_is_looked_up_once_and_scored(story: Story) -> None:
    charged = [entry["target"] for entry in story.done("clay", "charge")]
    lead = json.loads(story.row("lead")["data"])
    assert charged == [story.person.profile]
    assert (lead["industry"], lead["company_size"]) == ("Software", 140)
    assert (story.row("run_lead")["tier"], story.row("run_lead")["state"]) == ("tier_1", "live")


def test_the_run_ends_with_its_campaign_live(story: Story) -> None:
    assert (story.run.state, story.run.mode) == ("finished", "live")
    assert story.row("campaign")["state"] == "live"
    assert story.row("campaign")["decided_by"] == OPERATOR.name


def test_the_crm_holds_the_contact_with_tags_and_custom_fields(story: Story) -> None:
    body = story.only("ghl", "create_contact")["detail"]["body"]
    custom = {CUSTOM[item["id"]]: item.get("fieldValue", item.get("value")) for item in body["customFields"]}
    assert (body["email"], body["firstName"], body["lastName"]) == (story.person.email, "Dana", "Field")
    assert sorted(body["tags"]) == ["alpha-swarm", "event_attendee", "tier_1"]
    assert custom["title"] == "VP of Sales"
    assert custom["icp_tier"] == "tier_1"
    assert custom["last_campaign_id"] == story.row("campaign")["id"]


def test_the_contact_has_one_opportunity(story: Story) -> None:
    contact = story.only("ghl", "create_contact")["detail"]["contact_id"]
    body = story.only("ghl", "create_opportunity")["detail"]["body"]
    assert (body["contactId"], body["name"]) == (contact, f"Dana Field · {story.person.company}")


def test_the_campaign_is_a_draft_until_everybody_is_in_it(story: Story) -> None:
    order = [entry["action"] for entry in story.logs["instantly"]]
    steps = [step for step in order if step in {"create_campaign", "add_lead", "activate_campaign", "send"}]
    assert steps == ["create_campaign", "add_lead", "activate_campaign", "send"]


@pytest.mark.requirement("A1", "I5")
def test_what_was_approved_is_what_was_sent(story: Story) -> None:
    (approved,) = [json.loads(row["enrollment"]) for row in story.tables["campaign_lead"]]
    sent = story.only("instantly", "send")
    assert (sent["target"], sent["detail"]["subject"]) == (
        story.person.email,
        approved["messages"][0]["subject"],
    )
    assert approved["messages"][0]["body"].splitlines()[0] in sent["detail"]["body"]


def test_a_yes_is_used_once_for_each_thing_it_covers(story: Story) -> None:
    used = {row["action"]: row["used_by"] for row in story.tables["approval_item"]}
    by = {f"{row['vendor']}.{row['action']}": row["key"] for row in story.tables["effect"]}
    assert used == {action: by[action] for action in ("instantly.add_lead", "instantly.activate_campaign")}


# ── and back ─────────────────────────────────────────────────────────────────────────────────────────────
def test_what_happened_comes_in_by_webhook_and_is_understood(story: Story) -> None:
    events = Counter(row["type"] for row in story.tables["event"])
    assert {row["state"] for row in story.tables["inbound"]} == {"done"}
    assert events == {"job_finished": 1, "sent": 1, "opened": 1, "replied": 1, "unsubscribed": 1}


def test_the_reply_is_classified_and_a_person_called(story: Story) -> None:
    reply, handoff = story.row("reply"), story.row("handoff")
    assert reply["class"] == "meeting_request"
    assert (handoff["event_id"], handoff["lead_id"]) == (reply["event_id"], reply["lead_id"])
    assert handoff["state"] == "pending"


def test_the_crm_is_told_of_the_reply(story: Story) -> None:
    tags = {tag for entry in story.done("ghl", "add_tags") for tag in entry["detail"]["tags"]}
    moved = [entry["detail"]["body"] for entry in story.done("ghl", "update_opportunity")]
    assert {"contacted", "replied"} <= tags
    assert [body["pipelineStageId"] for body in moved] == [REPLIED_STAGE]


@pytest.mark.requirement("U10", "F15")
def test_who_unsubscribes_is_suppressed_here_and_stopped_at_both_vendors(story: Story) -> None:
    marks = [entry["detail"]["body"]["dndSettings"] for entry in story.done("ghl", "update_contact")]
    tags = [entry["detail"]["tags"] for entry in story.done("ghl", "add_tags")]
    assert story.suppressed
    assert story.only("instantly", "delete_lead")["target"] == story.person.email
    assert story.only("instantly", "block")["target"] == story.person.email
    assert [mark["email"]["status"] for mark in marks] == ["active"]
    assert ["dnc"] in tags
    assert story.row("campaign_lead")["state"] == "stopped"


@pytest.mark.requirement("I2")
def test_nothing_happens_twice_outside(story: Story) -> None:
    counts = Counter(
        (account, entry["action"], json.dumps(entry["detail"].get("tags", "")))
        for account, entries in story.logs.items()
        for entry in entries
    )
    assert {key for key, times in counts.items() if times > 1} == set()


# ── on record ────────────────────────────────────────────────────────────────────────────────────────────
def test_every_effect_of_the_run_carries_its_correlation_id(story: Story) -> None:
    done = story.effects(*OF_THE_RUN)
    assert {f"{row['vendor']}.{row['action']}" for row in done} == OF_THE_RUN
    assert {row["correlation_id"] for row in done} == {story.run.correlation_id}


def test_what_a_webhook_sets_off_carries_the_webhooks_correlation_id(story: Story) -> None:
    stopped = {
        row["correlation_id"] for row in story.tables["event"] if row["type"] in {"replied", "unsubscribed"}
    }
    assert {row["correlation_id"] for row in story.effects(*STOPPING)} == stopped


@pytest.mark.requirement("I6")
def test_every_effect_is_in_the_audit_log_under_its_correlation_id(story: Story) -> None:
    leaves = [json.loads(row["data"]) for row in story.tables["audit_leaf"]]
    logged = Counter((leaf["kind"], leaf["cid"]) for leaf in leaves)
    for row in story.tables["effect"]:
        assert logged[f"effect.{row['status']}", row["correlation_id"]] > 0
    of_the_run = {leaf["kind"] for leaf in leaves if leaf["cid"] == story.run.correlation_id}
    assert {"run.created", "campaign.drafted", "effect.claimed", "effect.applied"} <= of_the_run


def test_every_request_to_a_vendor_names_a_correlation_id_of_ours(story: Story) -> None:
    known = {row["correlation_id"] for name in ("effect", "event", "inbound") for row in story.tables[name]}
    asked = [entry for entries in story.requests.values() for entry in entries]
    writes = [entry for entry in asked if entry["method"] != "GET" and not reads_only(entry)]
    assert all(entry["correlation_id"] for entry in asked)
    assert {entry["correlation_id"] for entry in writes} <= known
    assert story.run.correlation_id in {entry["correlation_id"] for entry in writes}


def reads_only(entry: Row) -> bool:
    """A search is a POST that changes nothing."""
    return str(entry["path"]).endswith(("/search", "/list"))


def test_answers_are_on_record_as_far_as_they_are_short(story: Story) -> None:
    answered = [entry for entries in story.requests.values() for entry in entries if "answer" in entry]
    assert answered
    assert all(len(json.dumps(entry["answer"])) <= MAX_SHOWN * 2 for entry in answered)


def test_the_audit_log_verifies(story: Story) -> None:
    assert (story.proof.problems, story.proof.size) == ((), len(story.tables["audit_leaf"]))
    assert story.proof.checkpoints > 0


def test_nothing_on_the_way_is_logged_as_an_error(story: Story) -> None:
    assert story.errors == []


def test_effects_are_carried_out_where_the_servers_run(story: Story, request: pytest.FixtureRequest) -> None:
    applied = {row["process"] for row in story.tables["effect"] if row["status"] == "applied"}
    here = request.node.callspec.params["story"] == "in_process"
    assert applied == {story.us} if here else story.us not in applied
    assert len(applied) == (1 if here else 3)


# ── only as if ───────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.requirement("S1")
def test_in_safe_mode_the_run_goes_through_everything_and_each_outcome_is_simulated(rehearsal: Story) -> None:
    every = {f"{row['vendor']}.{row['action']}" for row in rehearsal.tables["effect"]}
    assert {row["status"] for row in rehearsal.tables["effect"]} == {"simulated"}
    assert every == (OF_THE_RUN - {"clay.enrich"}) | STOPPING | {"instantly.ensure_webhooks"}
    assert (rehearsal.run.state, rehearsal.run.mode) == ("finished", "safe")
    assert rehearsal.row("campaign")["state"] == "simulated"


@pytest.mark.requirement("S1")
def test_in_safe_mode_no_vendor_is_written_to(rehearsal: Story) -> None:
    assert [entry for entries in rehearsal.logs.values() for entry in entries] == []


@pytest.mark.requirement("S4")
def test_in_safe_mode_no_yes_is_used_and_nothing_spent(rehearsal: Story) -> None:
    assert {row["used_by"] for row in rehearsal.tables["approval_item"]} == {""}
    assert rehearsal.tables["spend"] == []


def test_in_safe_mode_an_opt_out_still_counts_here(rehearsal: Story) -> None:
    assert rehearsal.suppressed
    assert rehearsal.proof.problems == ()


def test_who_is_known_well_enough_is_not_looked_up(rehearsal: Story) -> None:
    assert rehearsal.requests["clay"] == []
    assert rehearsal.row("run_lead")["tier"] == "tier_1"
