"""Sourcing through PhantomBuster and Apify against their emulators, over HTTP."""

import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from servers.hunter import SERVER, tools
from servers.hunter.account import open_hunter
from servers.hunter.jobs import NO_ROWS, NOT_YET, ONLY_ERRORS, RESTRICTED
from shared.effect import Outcome
from shared.errors import ConfigError, Invalid
from shared.ports import Check, LeadPage, SourcedLead, SourceInfo
from tests.contract.openapi import load, validate_query, validate_request, validate_response
from tests.servers.providers_world import CONFIG, CONTRACTS, World, world

PB = ("phantombuster",)
POST = "https://www.linkedin.com/posts/ava-webb_pipeline-activity-7100000000000000000-abcd"


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path / "home", PB) as opened:
        yield opened


@pytest.fixture
async def apify(tmp_path: Path) -> AsyncIterator[World]:
    """The same, with Apify serving both audiences."""
    config = tmp_path / "config"
    shutil.copytree(CONFIG, config)
    for name, serves in (("phantombuster", "[]"), ("apify", "[likers, commenters]")):
        file = config / "vendors" / f"{name}.yaml"
        lines = file.read_text().splitlines()
        changed = [f"  serves: {serves}" if line.startswith("  serves:") else line for line in lines]
        file.write_text("\n".join(changed))
    async with world(tmp_path / "home", ("apify",), config) as opened:
        yield opened


async def start(opened: World, kind: str = "likers", **given: object) -> Outcome:
    outcome: Outcome = await tools.scrape_posts.function(opened.hunter, POST, kind, **given)
    return outcome


async def job(opened: World, job_id: str, cursor: str = "") -> LeadPage:
    page: LeadPage = await tools.get_job.function(opened.hunter, job_id, cursor)
    return page


async def everyone(opened: World, job_id: str) -> tuple[list[SourcedLead], list[tuple[int, str]]]:
    page = await job(opened, job_id)
    leads, bad = list(page.leads), list(page.quarantined)
    while page.next_cursor:
        page = await job(opened, job_id, page.next_cursor)
        leads += page.leads
        bad += page.quarantined
    return leads, [(one.line, one.reason) for one in bad]


async def test_the_likers_of_a_post_become_people_and_its_error_row_is_quarantined(live: World) -> None:
    outcome = await start(live)
    assert outcome.status == "applied"
    leads, bad = await everyone(live, outcome.reference)
    assert len(leads) == 40
    assert bad == [(41, "the provider could not read this one")]
    assert {(lead.source_type, lead.action, lead.source_url) for lead in leads} == {
        ("post_liker", "like", POST)
    }
    assert all(lead.linkedin_url and lead.full_name and lead.title and lead.company for lead in leads)
    assert [lead.line for lead in leads] == list(range(1, 41))


async def test_commenters_bring_what_they_wrote(live: World) -> None:
    leads, _ = await everyone(live, (await start(live, "commenters", limit=5)).reference)
    assert len(leads) == 5
    assert {lead.source_type for lead in leads} == {"post_commenter"}
    assert all(lead.text for lead in leads)


async def test_the_agents_saved_settings_stay_and_no_session_is_sent(live: World) -> None:
    await start(live)
    (launch,) = [one for one in live.wire.exchanges if one.path == "/agents/launch"]
    assert launch.body["bonusArgument"] == {"postUrl": POST, "numberOfPostsPerLaunch": 1}
    assert not {"argument", "arguments", "saveArgument"} & launch.body.keys()
    assert "cookie" not in str(launch.body).lower()


async def test_the_same_post_is_launched_once_a_day(live: World) -> None:
    first, second = await start(live), await start(live)
    assert (second.status, second.reference) == ("replayed", first.reference)
    live.clock.ahead += 86_400
    assert (await start(live)).status == "applied"
    assert (await start(live, idempotency_key="again")).status == "applied"
    assert len(await live.log("phantombuster")) == 3


async def test_safe_mode_launches_nothing(tmp_path: Path) -> None:
    async with world(tmp_path / "home", PB, SAFE_MODE="true") as opened:
        assert (await start(opened)).status == "simulated"
        assert await opened.log("phantombuster") == []


async def test_a_lost_answer_is_found_again_by_our_mark_and_not_launched_twice(live: World) -> None:
    await live.fault("phantombuster", kind="drop_after", path="/agents/launch")
    assert (await start(live)).status == "in_doubt"
    found = await start(live)
    assert found.status in {"applied", "replayed"}
    assert found.reference.startswith("phantombuster:")
    assert len(await live.log("phantombuster")) == 1


async def test_a_launch_that_never_arrived_is_made_again(live: World) -> None:
    await live.fault("phantombuster", kind="drop_before", path="/agents/launch")
    assert (await start(live)).status == "in_doubt"
    assert (await start(live)).status == "applied"
    assert len(await live.log("phantombuster")) == 1


async def test_a_launch_answered_without_a_run_is_in_doubt(live: World) -> None:
    await live.fault("phantombuster", kind="error_body", path="/agents/launch")
    assert (await start(live)).status == "in_doubt"


async def test_a_running_job_says_so(live: World) -> None:
    await live.act("phantombuster", "configure", seconds=3600)
    assert (await job(live, (await start(live)).reference)).status == "running"


async def test_a_run_that_is_not_shown_yet_counts_as_running(live: World) -> None:
    await live.act("phantombuster", "configure", hidden_seconds=3600)
    page = await job(live, (await start(live)).reference)
    assert (page.status, page.message) == ("running", NOT_YET)


@pytest.mark.parametrize(
    ("outcome", "status", "message"),
    [
        ("errors", "failed", ONLY_ERRORS),
        ("session", "failed", RESTRICTED),
        ("crash", "failed", "The run failed and found nothing. A person must look at it at the provider."),
    ],
)
async def test_success_that_lies_is_told_apart(live: World, outcome: str, status: str, message: str) -> None:
    await live.act("phantombuster", "configure", outcome=outcome)
    page = await job(live, (await start(live)).reference)
    assert (page.status, page.leads, page.message) == (status, (), message)


async def test_a_post_processed_before_gives_no_rows_and_a_reason(live: World) -> None:
    await live.act("phantombuster", "configure", forgetful=False)
    await start(live)
    page = await job(live, (await start(live, idempotency_key="again")).reference)
    assert (page.status, page.message) == ("finished", NO_ROWS)


async def test_a_cancelled_job_keeps_what_it_found_and_is_partial(live: World) -> None:
    await live.act("phantombuster", "configure", seconds=3600)
    outcome = await start(live)
    stopped: Outcome = await tools.cancel_job.function(live.hunter, outcome.reference)
    assert stopped.status == "applied"
    page = await job(live, outcome.reference)
    assert (page.status, len(page.leads) > 0) == ("partial", True)


async def test_full_slots_fail_the_launch_and_it_may_be_tried_again(live: World) -> None:
    await live.act("phantombuster", "configure", slots=0)
    outcome = await start(live)
    assert (outcome.status, outcome.reason) == ("failed", "slots_full")
    await live.act("phantombuster", "configure", slots=5)
    assert (await start(live)).status == "applied"


async def test_apifys_reactions_keep_the_encoded_profile_and_leave_companies_out(apify: World) -> None:
    outcome = await start(apify, limit=10)
    assert outcome.reference.startswith("apify:")
    leads, bad = await everyone(apify, outcome.reference)
    assert len(leads) == 10
    assert [reason for _, reason in bad] == ["neither a LinkedIn profile address nor an e-mail address"]
    assert all("/in/ACoAA" in lead.linkedin_url for lead in leads)
    assert {(lead.source_type, lead.company) for lead in leads} == {("post_liker", "")}


async def test_apifys_comments_bring_text_and_time(apify: World) -> None:
    leads, _ = await everyone(apify, (await start(apify, "commenters", limit=3)).reference)
    assert [(lead.source_type, lead.text != "", lead.captured_at[:4]) for lead in leads] == [
        ("post_commenter", True, "2026")
    ] * 3


async def test_apify_is_given_a_charge_it_may_not_exceed(apify: World) -> None:
    await start(apify)
    (run,) = [one for one in apify.wire.exchanges if one.method == "POST" and one.path.endswith("/runs")]
    assert run.query == {"maxTotalChargeUsd": "2"}


@pytest.mark.parametrize("ended", ["FAILED", "TIMED-OUT"])
async def test_an_apify_run_that_broke_off_is_partial(apify: World, ended: str) -> None:
    await apify.act("apify", "configure", outcome=ended)
    page = await job(apify, (await start(apify)).reference)
    assert (page.status, len(page.leads)) == ("partial", 7)


async def test_a_lost_apify_run_stays_in_doubt_and_is_not_started_twice(apify: World) -> None:
    await apify.fault("apify", kind="drop_after", path="/runs")
    assert [(await start(apify)).status, (await start(apify)).status] == ["in_doubt", "in_doubt"]
    assert len(await apify.log("apify")) == 1


async def test_an_apify_run_can_be_cancelled(apify: World) -> None:
    await apify.act("apify", "configure", seconds=3600)
    outcome = await start(apify)
    stopped: Outcome = await tools.cancel_job.function(apify.hunter, outcome.reference)
    assert stopped.status == "applied"
    assert (await job(apify, outcome.reference)).status == "partial"


@pytest.mark.parametrize(
    "post_url", ["https://example.com/posts/abc", "http://linkedin.com/posts/abcdef", "x"]
)
async def test_only_a_linkedin_post_is_sourced(live: World, post_url: str) -> None:
    with pytest.raises(Invalid) as raised:
        await tools.scrape_posts.function(live.hunter, post_url, "likers")
    assert raised.value.field == "post_url"


@pytest.mark.parametrize("job_id", ["", "clay:1", "apify:", "apify:../x", "phantombuster:" + "1" * 50])
async def test_a_job_id_that_is_not_ours_is_refused(live: World, job_id: str) -> None:
    with pytest.raises(Invalid) as raised:
        await tools.get_job.function(live.hunter, job_id)
    assert raised.value.field == "job_id"


async def _cleared(live: World, agent: str) -> None:
    scope = f"session:phantombuster:{agent}"
    assert await live.hunter.kernel.switches.resume(scope, actor="boss@corp.com", reason="fresh session")


@pytest.mark.requirement("H6")
async def test_a_reported_restriction_stops_all_sourcing_for_three_days(live: World) -> None:
    reported: Outcome = await tools.report_restriction.function(live.hunter, "asked to verify identity")
    assert reported.status == "applied"
    outcome = await start(live)
    assert (outcome.status, outcome.reason) == ("refused", "halted")
    sources: tuple[SourceInfo, ...] = await tools.list_sources.function(live.hunter)
    assert [(one.name, one.ready) for one in sources] == [
        ("file", True),
        ("post_likers", False),
        ("post_commenters", False),
    ]
    for agent in live.hunter.agents.values():
        await _cleared(live, agent)
    assert (await start(live)).reason == "halted"
    live.clock.ahead += 72 * 3600 + 1
    assert (await start(live)).status == "applied"


@pytest.mark.requirement("H3", "H6")
async def test_a_warning_in_a_runs_output_stops_by_itself_and_retires_that_session(live: World) -> None:
    await live.act("phantombuster", "configure", outcome="session")
    job_id = (await start(live)).reference
    assert (await job(live, job_id)).message == RESTRICTED
    pauses = {pause.scope: pause for pause in (await live.hunter.kernel.switches.now()).pauses}
    agent = live.hunter.agents["likers"]
    assert set(pauses) == {"vendor:phantombuster", "vendor:apify", f"session:phantombuster:{agent}"}
    assert {pause.kind for pause in pauses.values()} == {"halt"}
    stands = pauses["vendor:phantombuster"]
    assert (stands.actor, job_id in stands.reason, "72 h" in stands.reason) == ("rule:linkedin", True, True)
    # The sourcing goes on after three days, and not with that session before a person says so.
    live.clock.ahead += 72 * 3600 + 1
    await live.act("phantombuster", "configure", outcome="rows")
    assert (await start(live)).reason == "halted"
    assert (await start(live, kind="commenters")).status == "applied"
    await _cleared(live, agent)
    assert (await start(live)).status == "applied"


@pytest.mark.requirement("H5")
async def test_a_run_stops_sourcing_once_and_not_again_when_it_is_read_again(live: World) -> None:
    await live.act("phantombuster", "configure", outcome="session")
    job_id = (await start(live)).reference
    await job(live, job_id)
    first = (await live.hunter.kernel.switches.now()).pauses
    live.clock.ahead += 3600
    await job(live, job_id)
    assert (await live.hunter.kernel.switches.now()).pauses == first
    await _cleared(live, live.hunter.agents["likers"])
    live.clock.ahead += 72 * 3600
    await job(live, job_id)  # an old run, read once more
    assert (await live.hunter.kernel.switches.now()).pauses == ()


async def test_the_status_tells_of_plan_and_agents(live: World) -> None:
    checks: tuple[Check, ...] = await tools.get_status.function(live.hunter)
    assert [(one.name, one.ok) for one in checks] == [
        ("phantombuster", True),
        ("phantombuster agent for likers", True),
        ("phantombuster agent for commenters", True),
    ]


async def test_an_agent_that_is_not_configured_is_named(tmp_path: Path) -> None:
    async with world(tmp_path / "home", PB, PHANTOMBUSTER_LIKERS_AGENT="999") as opened:
        checks: tuple[Check, ...] = await tools.get_status.function(opened.hunter)
        assert [one.ok for one in checks] == [True, False, True]


async def test_two_providers_for_one_audience_are_a_configuration_error(tmp_path: Path) -> None:
    config = tmp_path / "config"
    shutil.copytree(CONFIG, config)
    file = config / "vendors" / "apify.yaml"
    file.write_text(file.read_text().replace("serves: []", "serves: [likers]"))
    with pytest.raises(ConfigError, match="both serve likers"):
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(world(tmp_path / "home", PB, config))


async def test_an_unknown_option_is_a_configuration_error_that_names_it(tmp_path: Path) -> None:
    config = tmp_path / "config"
    shutil.copytree(CONFIG, config)
    file = config / "vendors" / "phantombuster.yaml"
    file.write_text(file.read_text() + "  cookie: no\n")
    with pytest.raises(ConfigError, match=r"options\.cookie"):
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(world(tmp_path / "home", PB, config))


async def test_a_file_in_the_home_folder_is_imported(live: World) -> None:
    path = live.kernel.settings.home / "people.csv"
    path.write_text("email,name\nava@corp.example,Ava\nbad,row\n")
    page: LeadPage = await tools.import_file.function(live.hunter, str(path))
    assert [lead.email for lead in page.leads] == ["ava@corp.example"]
    assert Path(page.quarantine_file).parent == live.kernel.settings.home / "quarantine"


@pytest.mark.parametrize("way", ["straight", "dots", "link"])
async def test_a_file_outside_the_import_folders_is_refused(live: World, tmp_path: Path, way: str) -> None:
    outside = tmp_path / "secret.csv"
    outside.write_text("email\nava@corp.example\n")
    home = live.kernel.settings.home
    link = home / "link.csv"
    link.symlink_to(outside)
    path = {"straight": outside, "dots": home / ".." / "secret.csv", "link": link}[way]
    with pytest.raises(Invalid) as raised:
        await tools.import_file.function(live.hunter, str(path))
    assert (raised.value.field, raised.value.code) == ("path", "outside")


async def test_a_folder_named_by_the_configuration_may_be_imported_from(tmp_path: Path) -> None:
    config = tmp_path / "config"
    shutil.copytree(CONFIG, config)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "people.csv").write_text("email\nava@corp.example\n")
    file = config / "vendors" / "phantombuster.yaml"
    file.write_text(file.read_text().replace("import_roots: []", f"import_roots: ['{tmp_path / 'in'}']"))
    async with world(tmp_path / "home", PB, config) as opened, open_hunter(opened.kernel) as hunter:
        page: LeadPage = await tools.import_file.function(hunter, str(tmp_path / "in" / "people.csv"))
    assert len(page.leads) == 1


@pytest.mark.skipif(not CONTRACTS.is_dir(), reason="the vendors' contracts are not beside the project")
async def test_all_traffic_with_phantombuster_is_as_its_contract_says(live: World) -> None:
    outcome = await start(live)
    await start(live, "commenters")
    await everyone(live, outcome.reference)
    await live.act("phantombuster", "configure", seconds=3600)
    running = await start(live, idempotency_key="stop")
    await job(live, running.reference)
    await tools.cancel_job.function(live.hunter, running.reference)
    await job(live, running.reference)
    await tools.get_status.function(live.hunter)
    spec = load(CONTRACTS / "phantombuster" / "openapi-needed.json")
    exchanges = [one for one in live.wire.exchanges if one.account == "phantombuster"]
    for one in exchanges:
        validate_request(spec, one.method, one.path, one.body)
        validate_query(spec, one.method, one.path, one.query)
        if (
            one.path != "/agents/fetch"
        ):  # a hundred required fields; the emulator shows the four that are read
            validate_response(spec, one.method, one.path, one.status, one.answer)
    assert len({one.path for one in exchanges}) == 7


@pytest.mark.skipif(not CONTRACTS.is_dir(), reason="the vendors' contracts are not beside the project")
async def test_all_traffic_with_apify_is_as_its_contract_says(apify: World) -> None:
    outcome = await start(apify)
    await everyone(apify, outcome.reference)
    await tools.cancel_job.function(apify.hunter, outcome.reference)
    spec = load(CONTRACTS / "apify" / "openapi-needed.json")
    exchanges = [one for one in apify.wire.exchanges if one.account == "apify"]
    for one in exchanges:
        validate_request(spec, one.method, one.path, one.body)
        validate_query(spec, one.method, one.path, one.query)
        validate_response(spec, one.method, one.path, one.status, one.answer)
    assert len({one.path.split("/")[2] for one in exchanges}) == 3


@pytest.mark.requirement("D2", "D5")
@pytest.mark.parametrize("ended", [True, False])
async def test_an_end_whose_answer_was_lost_is_seen_at_the_run(live: World, ended: bool) -> None:
    await live.act("phantombuster", "configure", seconds=3600)
    job_id = (await start(live)).reference
    kind = "drop_after" if ended else "drop_before"
    await live.fault("phantombuster", kind=kind, path="/agents/stop", times=-1)
    assert (await tools.cancel_job.function(live.hunter, job_id)).status == "in_doubt"
    (row,) = await live.hunter.kernel.ledger.list(status="in_doubt")
    find = SERVER.lookups[row.effect.vendor, row.effect.action]
    assert (await find(live.hunter, row.effect) is not None) is ended
