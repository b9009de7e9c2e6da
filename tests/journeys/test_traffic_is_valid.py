"""Every request of a journey, and every answer the emulators gave, is as the vendors publish it."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from orchestrator import relaxing
from orchestrator.samples import write_sample
from shared import pipeline_schema as schema
from shared.approval import Person
from shared.effect import Json
from tests.conftest import CONTRACTS
from tests.contract.openapi import (
    ContractBroken,
    Spec,
    has_operation,
    load,
    validate_query,
    validate_request,
    validate_response,
)
from tests.journeys.journey import OPERATOR, Journey, Row, installed

pytestmark = pytest.mark.skipif(
    not CONTRACTS.is_dir(), reason="the vendors' contracts are not beside the project"
)
POST = {"url": "https://www.linkedin.com/posts/alpha-swarm_forecasting-activity-7000000000000000002"}
LEADS, FROM_POST = 12, 4
DOCUMENTS: Mapping[str, tuple[str, ...]] = {
    "ghl": tuple(
        f"ghl/v3/{name}.openapi.json"
        for name in ("contacts", "conversations", "opportunities", "locations", "pipelines")
    ),
    "instantly": ("instantly/openapi-needed.json",),
    "clay": ("clay/openapi.json",),
    "phantombuster": ("phantombuster/openapi-needed.json",),
}
# What a journey can't do without; a test that saw none of it would prove nothing.
NEEDED: Mapping[str, set[tuple[str, str]]] = {
    "ghl": {("POST", "contacts"), ("PUT", "contacts"), ("POST", "opportunities"), ("GET", "locations")},
    "instantly": {
        ("POST", "campaigns"),
        ("PATCH", "campaigns"),
        ("POST", "leads"),
        ("DELETE", "leads"),
        ("POST", "block-lists-entries"),
        ("POST", "webhooks"),
        ("GET", "accounts"),
        ("POST", "accounts"),
    },
    "clay": {("POST", "routines"), ("GET", "routines")},
    "phantombuster": {("POST", "agents"), ("GET", "containers")},
}


async def travelled(folder: Path) -> dict[str, list[Row]]:
    """Twelve people live: found in two files and under a post, written to, answering, one of them opting out."""
    async with installed(folder, safe=False) as journey:
        sample = write_sample(journey.home / "sample", LEADS - FROM_POST)
        post: dict[str, Json] = {**POST, "kind": "commenters", "limit": FROM_POST}
        run = await journey.to_review(sample.connections, sample.provider, posts=[post])
        await journey.approve(OPERATOR)
        await journey.finished(run)
        await journey.quiet()
        await opted_out(journey)
        await rested(journey)
        assert len(await journey.rows(schema.run_lead)) == LEADS
        return await journey.requests()


async def opted_out(journey: Journey) -> None:
    """One of those who were written to follows the link in the message."""
    (somebody, *_) = await journey.some(schema.campaign_lead, state="live")
    event = {
        "event_type": "lead_unsubscribed",
        "timestamp": "2026-11-02T09:30:00.000Z",
        "lead_email": somebody["email"],
    }
    assert await journey.post_event(event) == 200
    await journey.stopped(somebody["email"])


async def rested(journey: Journey) -> None:
    """A mailbox stands still, and goes on once a person has cleared it: the worker tells the vendor both."""
    kernel = journey.app.kernel
    scope = f"mailbox:{journey.app.rules.outreach.sender.mailboxes[0]}"
    await kernel.switches.pause(scope, actor="rule:complaint", reason="complaint: 1", kind="halt")
    await journey.done("instantly", "pause_account")
    admin = Person("admin@alpha-swarm.example", "admin")
    assert (await relaxing.clear(kernel, scope, person=admin, reason="looked at", alone=True)).done
    await journey.done("instantly", "resume_account")


@pytest.fixture(scope="module")
def requests(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Row]]:
    """What the emulators were asked and what they answered, by account."""
    return asyncio.run(travelled(tmp_path_factory.mktemp("traffic")))


@pytest.fixture(scope="module", params=list(DOCUMENTS))
def account(request: pytest.FixtureRequest) -> str:
    """A vendor account that has a published contract."""
    return str(request.param)


def broken(account: str, entries: list[Row]) -> list[str]:
    """What is not as published, in words; each once."""
    specs = [load(CONTRACTS / document) for document in DOCUMENTS[account]]
    problems: dict[str, None] = {}
    for entry in entries:
        try:
            check(specs, entry)
        except ContractBroken as error:
            problems[str(error)] = None
    return list(problems)


def check(specs: list[Spec], entry: Mapping[str, Any]) -> None:
    """One request and its answer. Where several documents describe it, it keeps to all of them."""
    method, path = entry["method"], entry["path"]
    describing = [spec for spec in specs if has_operation(spec, method, path)]
    if not describing:
        raise ContractBroken(f"no document has {method} {path}")
    for spec in describing:
        if entry["json"] is not None:
            validate_request(spec, method, path, entry["json"])
        validate_query(spec, method, path, dict(parse_qsl(entry["query"], keep_blank_values=True)))
        validate_response(spec, method, path, entry["status"], entry["answer"])


def test_every_request_and_answer_is_as_published(account: str, requests: dict[str, list[Row]]) -> None:
    assert broken(account, requests[account]) == []


def test_the_journey_asks_for_what_it_needs(account: str, requests: dict[str, list[Row]]) -> None:
    seen = {(entry["method"], resource(entry["path"])) for entry in requests[account]}
    assert NEEDED[account] <= seen


def resource(path: str) -> str:
    """The kind of thing a path is about."""
    return path.removeprefix("/api/v2").strip("/").split("/")[0]


def test_no_answer_is_left_out_of_the_check(account: str, requests: dict[str, list[Row]]) -> None:
    assert [entry["path"] for entry in requests[account] if "answer" not in entry] == []


def test_no_request_is_refused_by_its_vendor(account: str, requests: dict[str, list[Row]]) -> None:
    assert [(e["method"], e["path"], e["status"]) for e in requests[account] if e["status"] >= 400] == []
