"""What is missing is looked up once, never instead of what is known, and not at all while everything stands still."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from orchestrator.enrichment import enrich_batch, enriched, needs_enrichment
from orchestrator.intake import read_lead
from orchestrator.summary import summarise
from shared.clock import SystemClock
from shared.errors import Fatal
from shared.lead import Lead
from shared.ports import Enrichment
from shared.schema import effect
from tests.orchestrator.world import World, a_run, in_run, people, put, rows, world

NOW = "2026-11-01T00:00:00+00:00"


def _bare(count: int) -> list[Lead]:
    """People of whom nothing but profile, name and company is known."""
    gone: dict[str, Any] = {
        "email": "", "email_verdict": "", "title": "", "company_size": 0, "industry": "", "country": "", "location": "",
    }  # fmt: skip
    return [replace(one, **gone) for one in people(count)]


def _told(**more: Any) -> Enrichment:
    return Enrichment(**{"lead_id": "x", "status": "found", "email_verdict": "unknown", **more})


async def _lead(it: World, one: Lead) -> Lead:
    found = await it.kernel.store.read(lambda c: read_lead(c, one.id))
    assert found is not None
    return found


# ── one answer ───────────────────────────────────────────────────────────────────────────────────────────
def test_what_is_known_wins_over_what_is_told() -> None:
    (one,) = people(1)
    got = enriched(one, _told(title="Something else", phone="+15125550100"), NOW)
    assert (got.title, got.phone) == (one.title, "+15125550100")


def test_a_verdict_on_another_address_is_not_taken() -> None:
    one = replace(people(1)[0], email_verdict="")
    got = enriched(one, _told(email="other@corp1.com", email_verdict="deliverable"), NOW)
    assert (got.email, got.email_verdict) == (one.email, "unknown")


def test_a_shrug_does_not_undo_a_verdict() -> None:
    assert enriched(people(1)[0], _told(), NOW).email_verdict == "deliverable"


def test_a_bad_verdict_on_this_address_counts() -> None:
    (one,) = people(1)
    got = enriched(one, _told(email=one.email.upper(), email_verdict="undeliverable"), NOW)
    assert got.email_verdict == "undeliverable"


def test_a_found_address_is_kept_in_its_exact_form() -> None:
    one = replace(people(1)[0], email="", email_verdict="")
    got = enriched(one, _told(email=" <Dana@Corp1.COM> ", email_verdict="deliverable"), NOW)
    assert (got.email, got.email_verdict) == ("dana@corp1.com", "deliverable")


def test_a_look_up_that_failed_may_be_made_again() -> None:
    (one,) = _bare(1)
    assert enriched(one, _told(status="failed"), NOW) == one
    nobody = enriched(one, _told(status="not_found"), NOW)
    assert nobody.enriched_at is not None
    assert not needs_enrichment(nobody, nobody.enriched_at)


# ── a batch ──────────────────────────────────────────────────────────────────────────────────────────────
async def test_only_those_of_whom_something_is_missing_are_looked_up(tmp_path: Path) -> None:
    async with world(tmp_path, clock=SystemClock()) as it:
        known, missing = people(1, 50)[0], _bare(1)[0]
        run_id = await a_run(it.app, [known, missing], state="sourced")
        assert (await enrich_batch(it.app, run_id, 0))["asked"] == 1
        assert {row.enrichment for row in await in_run(it.app, run_id)} <= {"known", "found", "not_found"}
        assert len(await rows(it.app, sa.select(effect))) == 1


async def test_a_batch_looked_up_again_is_not_paid_again(tmp_path: Path) -> None:
    async with world(tmp_path, clock=SystemClock()) as it:
        run_id = await a_run(it.app, _bare(3), state="sourced")
        await enrich_batch(it.app, run_id, 0)
        await put(it.app, sa.text("UPDATE run_lead SET state = 'sourced'"))
        forgotten = sa.text("UPDATE lead SET data = json_remove(data, '$.enriched_at')")
        await put(it.app, forgotten)
        await enrich_batch(it.app, run_id, 0)
        assert len(await it.wrote("clay", "charge")) == 3


async def test_while_the_kill_switch_is_on_nobody_is_judged_by_what_was_not_asked(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        run_id = await a_run(it.app, _bare(1), state="sourced")
        await it.kernel.switches.kill(actor="test", reason="stop")
        with pytest.raises(Fatal) as caught:
            await enrich_batch(it.app, run_id, 0)
        assert caught.value.code == "kill_switch"
        assert [row.state for row in await in_run(it.app, run_id)] == ["sourced"]


async def test_in_safe_mode_nothing_is_asked_and_everybody_goes_on(tmp_path: Path) -> None:
    async with world(tmp_path, safe=True) as it:
        run_id = await a_run(it.app, _bare(1), state="sourced")
        await enrich_batch(it.app, run_id, 0)
        assert [(r.state, r.enrichment) for r in await in_run(it.app, run_id)] == [
            ("enriched", "simulated: safe_mode")
        ]
        assert (await summarise(it.kernel, run_id)).funnel["known or enriched"] == 0
        assert await it.witness.log("clay") == []


async def test_a_provider_that_is_away_for_a_moment_is_asked_again(tmp_path: Path) -> None:
    async with world(tmp_path, clock=SystemClock()) as it:
        run_id = await a_run(it.app, _bare(2), state="sourced")
        asking = {"kind": "status", "status": 429, "retry_after": "1", "method": "POST", "times": 1}
        await it.break_things("clay", asking)
        await enrich_batch(it.app, run_id, 0)
        assert {row.enrichment for row in await in_run(it.app, run_id)} <= {"found", "not_found"}


async def test_a_found_person_is_written_with_where_it_comes_from(tmp_path: Path) -> None:
    async with world(tmp_path, clock=SystemClock()) as it:
        bare = [replace(one, data_source="") for one in _bare(6)]
        run_id = await a_run(it.app, bare, state="sourced")
        done = await enrich_batch(it.app, run_id, 0)
        assert done["found"] == 6
        found = [await _lead(it, one) for one in bare]
        assert all(one.enriched_at for one in found)
        assert any(one.data_source == "clay" for one in found)
