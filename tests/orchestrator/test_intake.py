"""People come in once each, whatever order, spelling or crash they come in with."""

from pathlib import Path

import sqlalchemy as sa

from orchestrator import runs
from orchestrator.app import App
from orchestrator.intake import find_lead, import_path, join_run, take_in
from shared.clock import SystemClock
from shared.kernel import Kernel
from shared.lead import Lead
from shared.pipeline_schema import import_file, lead, run_lead
from shared.ports import SourcedLead
from shared.settings import load_settings
from tests.conftest import CONFIG
from tests.orchestrator.world import a_run, alone, in_run, opened, people, rows

ANNA = "https://www.linkedin.com/in/anna-berg"


async def _seen(app: App, *sightings: SourcedLead) -> tuple[int, int, int]:
    """How many were new, known, and nobody."""
    taken = await app.kernel.store.write(
        lambda c: take_in(c, sightings, now="2026-11-01T00:00:00+00:00", batch="b", data_source="test")
    )
    return taken.created, taken.merged, taken.skipped


async def _found(app: App, name: str) -> Lead | None:
    return await app.kernel.store.read(lambda c: find_lead(c, name))


async def test_a_profile_seen_twice_is_one_person_with_both_sources(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    first = SourcedLead(linkedin_url=ANNA, source_type="event", source_name="RevOps Day")
    second = SourcedLead(
        linkedin_url=f"{ANNA}/?x=1", email="anna@acme.com", source_type="liker", source_name="Post"
    )
    assert await _seen(app, first, second) == (1, 1, 0)
    found = await _found(app, ANNA)
    assert found is not None
    assert (found.email, len(found.sources)) == ("anna@acme.com", 2)


async def test_the_same_sighting_again_changes_nobody(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    one = SourcedLead(linkedin_url=ANNA, source_type="event", source_name="RevOps Day")
    await _seen(app, one)
    before = await _found(app, ANNA)
    await _seen(app, one)
    assert await _found(app, ANNA) == before


async def test_a_row_that_names_nobody_is_skipped(live_kernel: Kernel) -> None:
    assert await _seen(alone(live_kernel), SourcedLead(full_name="Anna Berg")) == (0, 0, 1)


async def test_a_person_goes_by_every_address_they_were_seen_with(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    await _seen(app, SourcedLead(linkedin_url=ANNA, email="anna@acme.com"))
    await _seen(app, SourcedLead(linkedin_url=ANNA, email="anna@private.org"))
    found = await _found(app, "anna@private.org")
    assert found is not None
    assert found.email == "anna@acme.com"


async def test_the_verdict_on_one_address_is_not_taken_for_another(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    await _seen(app, SourcedLead(linkedin_url=ANNA, email="anna@acme.com"))
    await _seen(app, SourcedLead(linkedin_url=ANNA, email="anna@private.org", email_verdict="deliverable"))
    found = await _found(app, ANNA)
    assert found is not None
    assert (found.email, found.email_verdict) == ("anna@acme.com", "")


async def test_somebody_is_found_however_address_and_profile_are_spelled(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    await _seen(app, SourcedLead(linkedin_url=ANNA, email="anna@acme.com"))
    for name in (" ANNA@Acme.com ", "Anna <anna@acme.com>", "linkedin.com/in/Anna-Berg/?trk=x"):
        assert await _found(app, name), name


async def test_people_join_a_run_once_in_full_batches(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    run_id = await a_run(app, people(7))
    ids = [one.id for one in people(7)]
    await app.kernel.store.write(lambda c: c.execute(sa.delete(run_lead)))
    for part in (ids[:3], ids[:5], ids):
        await app.kernel.store.write(lambda c, part=part: join_run(c, run_id, part, 3))  # type: ignore[misc]
    assert [row.batch for row in sorted(await in_run(app, run_id), key=lambda r: ids.index(r.lead_id))] == [
        0, 0, 0, 1, 1, 1, 2,
    ]  # fmt: skip


async def test_a_file_read_again_after_a_crash_adds_nobody_twice(tmp_path: Path) -> None:
    settings = load_settings(CONFIG, {"SWARM_HOME": str(tmp_path / "home")})
    settings.home.mkdir()
    file = settings.home / "people.csv"
    rows_of = [f"https://www.linkedin.com/in/p{n},p{n}@corp.com,First{n}\n" for n in range(120)]
    file.write_text(
        "linkedInProfileUrl,email,firstName\n" + "".join(rows_of) + ",,Nobody\n", encoding="utf-8"
    )
    async with opened(settings, SystemClock()) as app:
        made = await runs.create(app.kernel, {})
        first = await import_path(app, str(file), run_id=made.id)
        again = await import_path(app, str(file), run_id=made.id)
        assert (first.good, first.created, first.bad) == (120, 120, 1)
        assert (again.created, again.merged) == (0, 120)
        assert len(await in_run(app, made.id)) == len(await rows(app, sa.select(lead))) == 120
        assert {row.batch for row in await in_run(app, made.id)} == {0, 1}
        assert first.problems[0].startswith("line 122")
        assert len(await rows(app, sa.select(import_file))) == 2
