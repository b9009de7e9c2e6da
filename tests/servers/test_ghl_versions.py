"""API versions: one per kind of object, never mixed, and every spelling is read."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from servers.ghl.account import Options, open_ghl
from servers.ghl.contacts import CustomField, Terms, view
from servers.ghl.dialect import Dialect, Versions, custom_value, said_done
from servers.ghl.dnd import channels, why_blocked
from servers.ghl.sandbox import build
from shared.errors import Fatal
from shared.kernel import open_kernel
from shared.ports import ContactRecord
from shared.sandbox import serve
from shared.settings import Settings
from tests.servers.ghl_world import JANE, Bench, Hurried, Recorder, check_contract

OLD = dict.fromkeys(("contacts", "opportunities", "locations", "workflows"), "2021-07-28")
OLDER = {**OLD, "conversations": "2021-04-15"}
TERMS = Terms(Dialect(), {"title": CustomField("f1")})


def speaking(settings: Settings, versions: dict[str, str]) -> Settings:
    vendor = settings.vendor("ghl")
    options = {**vendor.file.options, "versions": versions}
    changed = replace(vendor, file=vendor.file.model_copy(update={"options": options}))
    return replace(settings, vendors={**settings.vendors, "ghl": changed})


@pytest.fixture(params=[OLDER, {"contacts": "2021-07-28"}, {"opportunities": "2021-07-28"}, {}])
async def spoken(
    request: pytest.FixtureRequest, settings_for: Callable[..., Settings]
) -> AsyncIterator[Bench]:
    clock, recorder = Hurried(), Recorder()
    async with serve(build(None, clock=clock)) as url:
        settings = speaking(settings_for(SAFE_MODE="false", GHL_BASE_URL=url), request.param)
        async with open_kernel(settings, clock=clock, transport=recorder) as kernel, open_ghl(kernel) as ghl:
            yield Bench(kernel, ghl, url, clock, recorder)


async def test_the_whole_journey_goes_in_every_version_and_keeps_to_its_contract(spoken: Bench) -> None:
    who = {"contact_id": "", "email": JANE.email}
    await spoken.call("check_setup")
    await spoken.upsert()
    await spoken.upsert(ContactRecord(JANE.email, title="CEO", icp_score=90))
    await spoken.call("create_opportunity", **who, name="Corp")
    await spoken.call("move_opportunity", **who, stage="Replied")
    await spoken.call("tag_contacts", people=[], add=["hot"])
    await spoken.call("set_dnc", email=JANE.email, reason="unsubscribed")
    await spoken.call("list_workflows")
    seen = await spoken.contact(email=JANE.email)
    assert (seen.custom_fields["title"], seen.custom_fields["icp_score"], seen.blocked) == (
        "CEO",
        "90",
        "crm_dnd_email",
    )
    check_contract(spoken)


async def test_each_kind_of_object_is_spoken_to_in_one_version(spoken: Bench) -> None:
    await spoken.call("check_setup")
    await spoken.upsert()
    await spoken.call("create_opportunity", contact_id="", email=JANE.email, name="Corp")
    await spoken.call("list_workflows")
    used: dict[str, set[str]] = {}
    for exchange in spoken.recorder.exchanges:
        used.setdefault(exchange.path.split("/")[1], set()).add(exchange.version)
    wanted = spoken.ghl.options.versions.model_dump()
    assert used == {kind: {wanted[kind]} for kind in used}
    assert len(used) == 5


async def test_where_duplicates_are_allowed_the_older_search_finds_the_opportunity(spoken: Bench) -> None:
    await spoken.location(allow_duplicate_opportunity=True)
    there = await spoken.somebody("bob@corp.example")
    first = await spoken.call("create_opportunity", contact_id=there, email="bob@corp.example", name="Corp")
    await spoken.clock.sleep(5)
    spoken.ghl.location.opportunities.put(there, "")
    spoken.ghl.location.created.put(there, "")
    moved = await spoken.call("move_opportunity", contact_id=there, email="bob@corp.example", stage="Replied")
    assert (moved.status, moved.reference) == ("applied", first.reference)
    check_contract(spoken)


@pytest.mark.parametrize(
    "wrong", [{"contacts": "2021-04-15"}, {"conversations": "2021-07-28"}, {"calendars": "v3"}]
)
def test_a_version_that_a_kind_of_object_does_not_have_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Options.model_validate({"versions": wrong})


def test_a_path_of_another_kind_is_spoken_to_in_the_newest_version() -> None:
    dialect = Dialect(Versions.model_validate(OLDER))
    assert [
        dialect.version(path) for path in ("/contacts/x/tags", "/opportunities/search", "/oauth/token")
    ] == [
        "2021-07-28",
        "2021-07-28",
        "v3",
    ]


async def test_an_older_version_creates_no_pipeline_and_says_how_a_person_does(
    settings_for: Callable[..., Settings],
) -> None:
    async with serve(build(None)) as url:
        settings = speaking(settings_for(SAFE_MODE="false", GHL_BASE_URL=url), OLD)
        async with open_kernel(settings, transport=Recorder()) as kernel, open_ghl(kernel) as ghl:
            bench = Bench(kernel, ghl, url, Hurried(), Recorder())
            await bench.act("forget", what="pipelines")
            [outcome] = [o for o in (await bench.call("ensure_setup")).outcomes if "pipeline" in o.message]
    assert (outcome.status, outcome.reason) == ("failed", "old_version")
    assert "Opportunities → Pipelines → Create Pipeline" in outcome.message


async def test_an_endpoint_that_a_version_lacks_is_for_a_person(bench: Bench) -> None:
    bench.strange.add(404)
    await bench.faults({"kind": "status", "status": 404, "message": "Cannot GET /x", "path": "/pipelines"})
    with pytest.raises(Fatal) as caught:
        await bench.call("list_pipelines")
    assert caught.value.code == "no_such_route"


# ── spellings ────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("word", ["succeeded", "succeded", "success"])
@pytest.mark.parametrize("done", [True, False])
def test_all_three_words_for_success_are_read(word: str, *, done: bool) -> None:
    assert said_done({word: done}) is done


def test_an_answer_that_says_nothing_of_success_is_not_one() -> None:
    assert said_done({"ok": True}) is None


@pytest.mark.parametrize("word", ["value", "fieldValue", "field_value"])
def test_all_three_words_for_a_custom_value_are_read(word: str) -> None:
    contact = {"id": "c", "customFields": [{"id": "f1", word: "CRO"}]}
    assert custom_value({word: "CRO"}) == "CRO"
    assert view(contact, TERMS).custom_fields == {"title": "CRO"}


@pytest.mark.parametrize("name", ["email", "Email", "EMAIL"])
def test_channels_are_read_in_any_case(name: str) -> None:
    contact: dict[str, Any] = {"dndSettings": {name: {"status": "Active"}}}
    assert channels(contact) == {"email": "Active"}
    assert why_blocked(contact) == "crm_dnd_email"
    # Our own stop closes the channel as well: it must not hide what they asked for.
    assert why_blocked({**contact, "unsubscribeEmail": True}) == "crm_unsubscribed"


@pytest.mark.parametrize(
    "odd",
    [None, [], "x", {"Email": None}, {"Email": []}, {"Email": {"status": None}}, {"x": {}}],
)
def test_odd_channel_settings_break_nothing(odd: object) -> None:
    assert why_blocked({"dndSettings": odd, "tags": None}) == ""
    view({"id": "c", "dndSettings": odd, "tags": None, "customFields": None, "additionalEmails": "x"}, TERMS)
