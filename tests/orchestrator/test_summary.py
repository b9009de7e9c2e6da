"""What a run came to, from the database alone."""

import sqlalchemy as sa

from orchestrator.summary import summarise, unfinished
from shared.kernel import Kernel
from shared.pipeline_schema import campaign_lead, run_lead, stop
from shared.schema import inbound
from tests.orchestrator.world import a_run, alone, people, planned, put


async def test_the_funnel_counts_people_by_how_far_they_came(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    run_id, _ = await planned(app, [*people(2), *people(1, 5, country="DE", location="Berlin, Germany")])
    await put(app, sa.update(run_lead).values(enrichment="known"))
    await put(
        app, sa.update(run_lead).where(run_lead.c.lead_id == people(1)[0].id).values(enrichment="failed")
    )
    funnel = (await summarise(live_kernel, run_id)).funnel
    assert (funnel["sourced"], funnel["known or enriched"], funnel["qualified"]) == (3, 2, 3)
    assert (funnel["tier 3"], funnel["held for a person"], funnel["written to"]) == (3, 1, 0)


async def test_people_and_campaigns_of_other_runs_are_not_counted(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    first, _ = await planned(app, people(2))
    await planned(app, people(3, 10))
    found = await summarise(live_kernel, first)
    assert (found.campaigns, found.people) == ({"pending_review": 1}, {"drafted": 2})


async def test_an_address_on_the_list_counts_once(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    run_id = await a_run(app, [])
    await live_kernel.suppression.add("anna+x@corp1.com", reason="asked", source="test")
    assert (await summarise(live_kernel, run_id)).suppressed == await live_kernel.suppression.count()


async def test_webhooks_and_stops_that_wait_are_unfinished(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    await put(app, sa.insert(inbound).values(vendor="ghl", event_id="1", raw=b"{}"))
    await put(app, sa.insert(stop).values(id="s", kind="person", target="a@corp1.com"))
    assert await unfinished(live_kernel) == 2
    await put(app, sa.update(inbound).values(state="done"))
    await put(app, sa.update(stop).values(state="confirmed"))
    assert await unfinished(live_kernel) == 0


async def test_people_are_counted_by_how_their_launch_ended(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    run_id, _ = await planned(app, people(2))
    await put(app, sa.update(campaign_lead).values(state="live"))
    assert (await summarise(live_kernel, run_id)).people == {"live": 2}
