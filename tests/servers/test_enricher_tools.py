"""Paid look-ups against the emulators of Clay and Hunter.io, over HTTP."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import httpx
import pytest
import yaml

from servers.enricher import tools
from servers.enricher.events import parse, verify
from servers.enricher.sandbox import signature
from shared.effect import Outcome
from shared.errors import Invalid
from shared.ports import BatchOutcome, Budget, Check, EnrichmentPage, EnrichRequest
from shared.settings import load_settings
from tests.contract.openapi import load, of, validate_query, validate_request, validate_response
from tests.servers.providers_world import CONFIG, CONTRACTS, World, world

DAY = 86_400


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path / "home", ("clay", "hunterio")) as opened:
        yield opened


def someone(number: int, **more: str) -> EnrichRequest:
    url = f"https://www.linkedin.com/in/ava-webb-{number}"
    return EnrichRequest(f"lead-{number}", url, full_name="Ava Webb", company="Bluepeak Systems", **more)


async def enrich(opened: World, requests: Sequence[EnrichRequest], key: str = "") -> BatchOutcome:
    done: BatchOutcome = await tools.enrich_leads.function(opened.enricher, requests, key)
    return done


async def results(opened: World, done: BatchOutcome) -> EnrichmentPage:
    references = [outcome.reference for outcome in done.outcomes if outcome.done]
    page: EnrichmentPage = await tools.get_result.function(opened.enricher, references)
    return page


async def charges(opened: World, account: str = "clay") -> list[str]:
    return [entry["target"] for entry in await opened.log(account)]


async def test_a_hundred_people_go_in_one_run_and_come_back_by_lead(live: World) -> None:
    done = await enrich(live, [someone(number) for number in range(100)])
    assert done.counts == {"applied": 100}
    assert len([one for one in live.wire.exchanges if one.method == "POST"]) == 1
    page = await results(live, done)
    assert page.pending == ()
    assert {one.lead_id for one in page.results} == {f"lead-{number}" for number in range(100)}
    found = [one for one in page.results if one.status == "found"]
    assert 70 <= len(found) <= 95
    assert {one.status for one in page.results} == {"found", "not_found", "failed"}
    assert {one.email for one in found} == {"ava.webb@bluepeak-systems.example"}
    assert len({(one.company_size, one.company_industry, one.company_revenue) for one in found}) == 1


async def test_companies_differ_enough_for_every_tier(live: World) -> None:
    requests = [
        EnrichRequest(
            f"l{n}", f"https://www.linkedin.com/in/p-{n}", full_name="Ava Webb", company=f"Company {n}"
        )
        for n in range(80)
    ]
    page = await results(live, await enrich(live, requests))
    sizes = {one.company_size for one in page.results if one.status == "found"}
    assert (min(sizes) < 20, any(51 <= size <= 200 for size in sizes), max(sizes) > 1000) == (
        True,
        True,
        True,
    )
    assert len({one.company_industry for one in page.results}) > 4
    assert {one.email_verdict for one in page.results} >= {"deliverable", "accept_all", "undeliverable"}


async def test_results_still_missing_are_named_by_reference(live: World) -> None:
    await live.act("clay", "configure", seconds=3600)
    done = await enrich(live, [someone(1), someone(2)])
    references = tuple(outcome.reference for outcome in done.outcomes)
    assert await results(live, done) == EnrichmentPage((), references)
    await live.act("clay", "finish")
    assert (await results(live, done)).pending == ()


async def test_one_person_can_be_looked_up_alone(live: World) -> None:
    outcome: Outcome = await tools.enrich_lead.function(live.enricher, someone(1))
    assert outcome.status == "applied"
    assert outcome.reference.startswith("clay:")


async def test_the_same_person_is_not_paid_twice_within_45_days(live: World) -> None:
    first = await enrich(live, [someone(1)])
    for _ in range(4):
        live.clock.ahead += 11 * DAY
        again = await enrich(live, [someone(1), someone(int(live.clock.ahead))])
        assert (again.outcomes[0].status, again.outcomes[0].reference) == (
            "replayed",
            first.outcomes[0].reference,
        )
    live.clock.ahead += 2 * DAY
    assert (await enrich(live, [someone(1)])).outcomes[0].status == "applied"
    assert len([who for who in await charges(live) if who.endswith("webb-1")]) == 2


async def test_what_is_known_of_the_company_does_not_make_another_look_up(live: World) -> None:
    await enrich(live, [someone(1)])
    assert (await enrich(live, [someone(1, company_domain="bluepeak.example")])).counts == {"replayed": 1}


async def test_only_what_is_known_travels_under_the_names_the_routine_has(live: World) -> None:
    await enrich(live, [someone(1)])
    (run,) = [one for one in live.wire.exchanges if one.method == "POST"]
    assert run.body == {
        "items": [
            {
                "id": "lead-1",
                "inputs": {
                    "LinkedIn URL": "https://www.linkedin.com/in/ava-webb-1",
                    "Full Name": "Ava Webb",
                    "Company Name": "Bluepeak Systems",
                },
            }
        ]
    }


async def test_a_lost_answer_stays_in_doubt_and_is_never_paid_again(live: World) -> None:
    await live.fault("clay", kind="drop_after", path="/run$")
    assert (await enrich(live, [someone(1)])).counts == {"in_doubt": 1}
    assert (await enrich(live, [someone(1)])).counts == {"in_doubt": 1}
    assert len(await charges(live)) == 1


async def test_a_run_without_an_id_is_in_doubt(live: World) -> None:
    await live.fault("clay", kind="error_body", path="/run$")
    assert (await enrich(live, [someone(1)])).counts == {"in_doubt": 1}


async def test_spent_credits_at_clay_fail_the_look_up_and_are_given_back(live: World) -> None:
    await live.fault("clay", kind="status", status=402, path="/run$")
    done = await enrich(live, [someone(1)])
    assert (done.outcomes[0].status, done.outcomes[0].reason) == ("failed", "credits")
    assert (await tools.get_budget.function(live.enricher)).spent == 0


async def test_safe_mode_pays_for_nothing(tmp_path: Path) -> None:
    async with world(tmp_path / "home", ("clay",), SAFE_MODE="true") as opened:
        assert (await enrich(opened, [someone(1)])).counts == {"simulated": 1}
        assert await charges(opened) == []


async def test_someone_who_opted_out_is_not_looked_up_and_the_others_are(live: World) -> None:
    await live.kernel.suppression.add("out@corp.example", reason="unsubscribed", source="test", actor="test")
    out = EnrichRequest("lead-9", email="out@corp.example", full_name="Bo", company="Corp")
    done = await enrich(live, [someone(1), out])
    assert [outcome.status for outcome in done.outcomes] == ["applied", "refused"]
    assert len(await charges(live)) == 1


async def test_the_budget_tells_what_was_spent_today(live: World) -> None:
    await enrich(live, [someone(1), someone(2)])
    budget: Budget = await tools.get_budget.function(live.enricher)
    assert (budget.limit, budget.spent) == (1000, 2)


@pytest.mark.parametrize(
    "request_",
    [
        EnrichRequest("lead-1"),
        EnrichRequest("", "https://linkedin.com/in/a"),
        EnrichRequest("x" * 65, email="a@b.c"),
    ],
)
async def test_a_request_that_names_nobody_is_refused(live: World, request_: EnrichRequest) -> None:
    with pytest.raises(Invalid) as raised:
        await enrich(live, [request_])
    assert raised.value.field == "requests"


async def test_a_lead_named_twice_is_refused(live: World) -> None:
    with pytest.raises(Invalid, match="named twice"):
        await enrich(live, [someone(1), someone(1)])


@pytest.mark.parametrize("reference", ["", "clay:", "clay:run", "apify:run:lead", "clay::lead"])
async def test_a_reference_that_is_not_ours_is_refused(live: World, reference: str) -> None:
    with pytest.raises(Invalid) as raised:
        await tools.get_result.function(live.enricher, [reference])
    assert raised.value.field == "references"


async def test_a_run_that_clay_has_forgotten_failed(live: World) -> None:
    page: EnrichmentPage = await tools.get_result.function(live.enricher, ["clay:rr_gone:lead-1"])
    assert [(one.lead_id, one.status) for one in page.results] == [("lead-1", "failed")]


async def test_the_status_tells_whether_clay_takes_the_key(live: World) -> None:
    checks: tuple[Check, ...] = await tools.get_status.function(live.enricher)
    assert [one.ok for one in checks] == [True, True]
    await live.fault("clay", kind="status", status=401, path="/me")
    checks = await tools.get_status.function(live.enricher)
    assert [one.ok for one in checks] == [False, True]


async def test_an_address_is_verified_once_and_its_verdict_kept(live: World) -> None:
    first: Outcome = await tools.verify_email.function(live.enricher, "Ava.Webb@corp.example")
    again: Outcome = await tools.verify_email.function(live.enricher, "ava.webb@corp.example")
    assert (first.status, again.status, first.detail) == ("applied", "replayed", again.detail)
    assert first.detail["verdict"] in {"deliverable", "accept_all", "undeliverable"}
    assert len(await charges(live, "hunterio")) == 1


async def test_who_opted_out_at_hunterio_is_never_to_be_sent_to(live: World) -> None:
    outcome: Outcome = await tools.verify_email.function(live.enricher, "optedout@corp.example")
    assert (outcome.status, outcome.detail) == ("applied", {"verdict": "never_send", "opted_out": True})


async def test_a_verification_under_way_may_be_asked_for_again(live: World) -> None:
    outcome: Outcome = await tools.verify_email.function(live.enricher, "pending@corp.example")
    assert (outcome.status, outcome.reason) == ("failed", "pending")


@pytest.mark.parametrize(("status", "reason"), [(403, "rate_limited"), (429, "quota")])
async def test_hunterios_403_is_slow_down_and_its_429_is_quota_gone(
    live: World, status: int, reason: str
) -> None:
    await live.fault("hunterio", kind="status", status=status, times=9)
    outcome: Outcome = await tools.verify_email.function(live.enricher, "ava@corp.example")
    assert (outcome.status, outcome.reason) == ("failed", reason)


def test_a_signed_webhook_is_genuine_and_any_other_is_not() -> None:
    vendor = load_settings(CONFIG, {}).vendor("clay")
    raw = b'{"webhookId":"wh","createdAt":"2026-11-01T00:00:00Z","data":{"routine_run_id":"rr_1"}}'
    good = {"x-clay-signature": signature(raw)}
    assert verify(good, raw, vendor)
    assert not verify(good, raw + b" ", vendor)
    assert not verify({"x-clay-signature": signature(raw).removeprefix("sha256=")}, raw, vendor)
    assert not verify({"x-clay-signature": "sha256=é"}, raw, vendor)
    assert not verify({}, raw, vendor)
    unset = load_settings(CONFIG, {"CLAY_BASE_URL": "https://clay.example", "CLAY_API_KEY": "k"}).vendor(
        "clay"
    )
    assert not verify(good, raw, unset)


def test_a_run_that_ended_is_one_event_however_often_it_is_told() -> None:
    told = {"webhookId": "wh", "createdAt": "2026-11-01T00:00:00Z", "data": {"routine_run_id": "rr_1"}}
    event, again = parse(told), parse({**told, "createdAt": "2026-11-01T00:05:00Z"})
    assert (event.type, event.reference, event.id) == ("job_finished", "rr_1", again.id)


@pytest.mark.parametrize("payload", [{}, {"data": {}}, {"data": []}, {"data": {"routine_run_id": None}}])
def test_clays_test_event_stays_unknown(payload: dict[str, object]) -> None:
    assert parse(payload).type == "unknown"


@pytest.mark.skipif(not CONTRACTS.is_dir(), reason="the vendors' contracts are not beside the project")
async def test_all_traffic_with_clay_is_as_its_contract_says(live: World) -> None:
    await live.act("clay", "configure", seconds=3600)
    done = await enrich(live, [someone(number) for number in range(60)])
    await results(live, done)
    await live.act("clay", "finish")
    await results(live, done)
    await tools.get_result.function(live.enricher, ["clay:rr_gone:lead-1"])
    await tools.get_status.function(live.enricher)
    async with httpx.AsyncClient(headers={"clay-api-key": "x"}) as http:
        refused = await http.post(f"{live.urls['clay']}/routines/function:t_sandbox/run", json={"items": []})
    spec = load(CONTRACTS / "clay" / "openapi.json")
    validate_response(spec, "POST", "/routines/function:t_sandbox/run", refused.status_code, refused.json())
    exchanges = [one for one in live.wire.exchanges if one.account == "clay"]
    for one in exchanges:
        validate_request(spec, one.method, one.path, one.body)
        validate_query(spec, one.method, one.path, one.query)
        validate_response(spec, one.method, one.path, one.status, one.answer)
    assert {one.status for one in exchanges} == {200, 202, 404}


@pytest.mark.skipif(not CONTRACTS.is_dir(), reason="the vendors' contracts are not beside the project")
async def test_all_traffic_with_hunterio_is_as_its_contract_says(live: World) -> None:
    for email in ("ava@corp.example", "pending@corp.example", "optedout@corp.example"):
        await tools.verify_email.function(live.enricher, email)
    text = (CONTRACTS / "hunter" / "email-verifier.yml").read_text(encoding="utf-8")
    spec = of(yaml.safe_load(text))
    for one in [one for one in live.wire.exchanges if one.account == "hunterio"]:
        validate_response(spec, one.method, one.path, one.status, one.answer)
        assert set(one.query) == {"email"}
