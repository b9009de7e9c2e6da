"""Every look-up that a server names tells what became of its effect: walked over all of them, at the emulators.

Once the answer is lost, and the look-up finds what was done; once the request, and it says that nothing was.
"""

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from servers.enricher import tools as enricher
from servers.hunter import tools as hunter
from servers.instantly import tools as instantly
from shared.effect import Effect, Receipt
from shared.kernel import Kernel
from shared.ledger import Row
from shared.ports import ContactRecord, EnrichRequest, FieldChange, ReplyMessage
from shared.settings import Settings, load_settings
from shared.suite import load_server
from tests.servers import ghl_world, instantly_world, providers_world
from tests.servers.instantly_world import DRAFT, person

Act = Callable[[], Awaitable[Any]]
Name = tuple[str, str]
FOUND, NOT_THERE, UNTOLD = "applied", "failed not_there", "in_doubt"
# What a look-up can't tell: Clay says nothing before the run has ended, Hunter.io keeps nothing of a verification
# (so it is asked for again, for a credit), and that a reply isn't seen in its thread is no proof.
OTHERWISE: Mapping[Name, tuple[str, str]] = {
    ("clay", "enrich"): (UNTOLD, UNTOLD),
    ("hunterio", "verify_email"): (NOT_THERE, NOT_THERE),
    ("instantly", "send_reply"): (FOUND, UNTOLD),
}
ALWAYS = -1
THE_OTHER_WAY = ("drop_before", "drop_after")  # what was made once needs no making


@dataclass(frozen=True)
class Case:
    """How an effect comes about: what is there before, and the request that carries it.

    `also` stands for reads that would tell at once. What may be repeated is sent again: it is lost each time.
    """

    effect: Name
    method: str
    path: str
    ready: Callable[[Any, str], Awaitable[Act]]
    times: int = ALWAYS
    also: tuple[Mapping[str, Any], ...] = ()
    order: tuple[str, str] = ("drop_after", "drop_before")

    def faults(self, kind: str) -> list[Mapping[str, Any]]:
        lost = {"kind": kind, "method": self.method, "path": self.path, "times": self.times}
        return [lost, *self.also]


@dataclass(frozen=True)
class Place:
    """Where the effects of some servers come about."""

    kernel: Kernel
    world: Any  # what the cases of these servers work with
    instances: Mapping[str, Any]  # an opened server by the account that it looks at
    urls: Mapping[str, str]  # an emulator by account

    async def faults(self, account: str, plan: list[Mapping[str, Any]]) -> None:
        async with httpx.AsyncClient() as http:
            await http.put(f"{self.urls[account]}/_control/faults", json=plan)


# ── GoHighLevel ──────────────────────────────────────────────────────────────────────────────────────────
def a_record(who: str, **more: Any) -> ContactRecord:
    return ContactRecord(f"{who}@corp.example", first_name="Jane", **more)


async def a_contact(bench: ghl_world.Bench, who: str) -> dict[str, str]:
    made = await bench.upsert(a_record(who))
    return {"contact_id": made.reference, "email": f"{who}@corp.example"}


def on_somebody(tool: str, **given: Any) -> Callable[[ghl_world.Bench, str], Awaitable[Act]]:
    async def ready(bench: ghl_world.Bench, who: str) -> Act:
        return partial(bench.call, tool, **await a_contact(bench, who), **given)

    return ready


async def new_contact(bench: ghl_world.Bench, who: str) -> Act:
    return partial(bench.call, "create_contact", contact=a_record(who))


async def other_title(bench: ghl_world.Bench, who: str) -> Act:
    there = await a_contact(bench, who)
    return partial(
        bench.call, "update_contact", contact_id=there["contact_id"], contact=a_record(who, title="CRO")
    )


async def upserted(bench: ghl_world.Bench, who: str) -> Act:
    await a_contact(bench, who)
    return partial(bench.upsert, a_record(who, title="CRO"))


async def marked(bench: ghl_world.Bench, who: str) -> Act:
    there = await a_contact(bench, who)
    return partial(bench.call, "set_dnc", email=there["email"], reason="unsubscribed")


def on_opportunity(tool: str, **given: Any) -> Callable[[ghl_world.Bench, str], Awaitable[Act]]:
    async def ready(bench: ghl_world.Bench, who: str) -> Act:
        there = await a_contact(bench, who)
        made = await bench.call("create_opportunity", **there, name="Corp")
        if tool == "move_opportunity":
            return partial(bench.call, tool, **there, **given)
        moved = await bench.call("move_opportunity", **there, stage="Replied")
        stages = {"was": moved.detail["before"]["stage"], "now": moved.detail["after"]["stage"]}
        return partial(
            bench.call, tool, opportunity_id=made.reference, email=there["email"], undoes=who, **stages
        )

    return ready


async def restored(bench: ghl_world.Bench, who: str) -> Act:
    there = await a_contact(bench, who)
    await bench.upsert(a_record(who, title="CRO"))
    return partial(
        bench.call, "restore_contact", **there, changes=[FieldChange("title", "", "CRO")], undoes=who
    )


def set_up(what: str) -> Callable[[ghl_world.Bench, str], Awaitable[Act]]:
    """These are gone, and what is missing is made: several, of which the first is lost."""

    async def ready(bench: ghl_world.Bench, _who: str) -> Act:
        await bench.act("forget", what=what)
        return partial(bench.call, "ensure_setup")

    return ready


GHL = (
    Case(("ghl", "create_contact"), "POST", "/contacts/$", new_contact),
    Case(("ghl", "update_contact"), "PUT", "/contacts/", other_title),
    Case(("ghl", "upsert_contact"), "PUT", "/contacts/", upserted),
    Case(("ghl", "tag_contact"), "POST", "/tags$", on_somebody("tag_contact", add=["hot"])),
    Case(("ghl", "set_dnc"), "PUT", "/contacts/", marked),
    Case(
        ("ghl", "create_opportunity"),
        "POST",
        "/opportunities/$",
        on_somebody("create_opportunity", name="Corp"),
    ),
    Case(
        ("ghl", "move_opportunity"),
        "PUT",
        "/opportunities/",
        on_opportunity("move_opportunity", stage="Replied"),
    ),
    Case(("ghl", "restore_stage"), "PUT", "/opportunities/", on_opportunity("restore_stage")),
    Case(("ghl", "restore_contact"), "PUT", "/contacts/", restored),
    Case(("ghl", "create_custom_field"), "POST", "/customFields$", set_up("fields"), 1, order=THE_OTHER_WAY),
    Case(("ghl", "create_tag"), "POST", "/tags$", set_up("tags"), 1, order=THE_OTHER_WAY),
    Case(
        ("ghl", "create_pipeline"),
        "POST",
        "/opportunities/pipelines$",
        set_up("pipelines"),
        1,
        order=THE_OTHER_WAY,
    ),
)


@asynccontextmanager
async def at_ghl(settings_for: Callable[..., Settings], _home: Path) -> AsyncIterator[Place]:
    async with ghl_world.opened(settings_for) as bench:
        yield Place(bench.kernel, bench, {"ghl": bench.ghl}, {"ghl": bench.url})


# ── sourcing and enrichment ──────────────────────────────────────────────────────────────────────────────
def post(who: str) -> str:
    return f"https://www.linkedin.com/posts/ava-webb_pipeline-activity-7100000000000000000-{who}"


async def launched(world: providers_world.World, who: str) -> Act:
    await world.act("phantombuster", "configure", seconds=0)
    return partial(hunter.scrape_posts.function, world.hunter, post(who), "commenters")


def ended(kind: str) -> Callable[[providers_world.World, str], Awaitable[Act]]:
    async def ready(world: providers_world.World, who: str) -> Act:
        for account in ("phantombuster", "apify"):
            await world.act(account, "configure", seconds=3_600)
        job = await hunter.scrape_posts.function(world.hunter, post(who), kind)
        return partial(hunter.cancel_job.function, world.hunter, job.reference)

    return ready


async def enriched(world: providers_world.World, who: str) -> Act:
    request = EnrichRequest(who, f"https://www.linkedin.com/in/{who}", full_name="Ava Webb", company="Corp")
    return partial(enricher.enrich_leads.function, world.enricher, [request])


async def verified(world: providers_world.World, who: str) -> Act:
    return partial(enricher.verify_email.function, world.enricher, f"{who}@corp.example")


PROVIDERS = (
    Case(("phantombuster", "launch_agent"), "POST", "/agents/launch", launched),
    Case(("phantombuster", "stop_agent"), "POST", "/agents/stop", ended("commenters")),
    Case(("apify", "abort_run"), "POST", "/abort", ended("likers")),
    Case(("clay", "enrich"), "POST", "/run$", enriched),
    Case(("hunterio", "verify_email"), "GET", "/email-verifier", verified),
)


@asynccontextmanager
async def at_providers(_: Callable[..., Settings], home: Path) -> AsyncIterator[Place]:
    """Each of the two that source serves one audience."""
    config = home / "config"
    shutil.copytree(providers_world.CONFIG, config)
    for name, serves in (("phantombuster", "[commenters]"), ("apify", "[likers]")):
        file = config / "vendors" / f"{name}.yaml"
        lines = file.read_text().splitlines()
        file.write_text(
            "\n".join(f"  serves: {serves}" if line.startswith("  serves:") else line for line in lines)
        )
    accounts = ("phantombuster", "apify", "clay", "hunterio")
    async with providers_world.world(home / "home", accounts, config) as world:
        looking = {"phantombuster": world.hunter, "apify": world.hunter}
        looking |= {"clay": world.enricher, "hunterio": world.enricher}
        yield Place(world.kernel, world, looking, world.urls)


# ── Instantly ────────────────────────────────────────────────────────────────────────────────────────────
async def drafted(world: instantly_world.World, who: str) -> Act:
    return partial(instantly.create_campaign.function, world.instantly, replace(DRAFT, campaign_id=who))


async def redrafted(world: instantly_world.World, who: str) -> Act:
    draft = replace(DRAFT, campaign_id=who)
    ref = await world.drafted(draft)
    later = replace(draft, daily_limit=DRAFT.daily_limit + 1)
    return partial(instantly.update_campaign.function, world.instantly, ref, later)


async def with_people(world: instantly_world.World, who: str) -> tuple[str, Act]:
    """A draft, and what enrols one person in it."""
    draft, people = replace(DRAFT, campaign_id=who), [person(f"kim@{who}.example", campaign_id=who)]
    ref, approval = await world.drafted(draft), await world.approve(people, draft)
    return ref, partial(instantly.add_leads_to_campaign.function, world.instantly, ref, people, approval)


async def enrolled(world: instantly_world.World, who: str) -> Act:
    return (await with_people(world, who))[1]


async def a_campaign(world: instantly_world.World, who: str) -> tuple[str, Act]:
    """With one person in it; and what starts it."""
    ref, enrol = await with_people(world, who)
    await enrol()
    approval = await world.approve(draft=replace(DRAFT, campaign_id=who))
    return ref, partial(instantly.activate_campaign.function, world.instantly, ref, who, approval)


async def activated(world: instantly_world.World, who: str) -> Act:
    return (await a_campaign(world, who))[1]


async def paused(world: instantly_world.World, who: str) -> Act:
    ref, start = await a_campaign(world, who)
    await start()
    return partial(instantly.pause_campaign.function, world.instantly, ref, "asked")


async def resumed(world: instantly_world.World, who: str) -> Act:
    ref, start = await a_campaign(world, who)
    await start()
    await instantly.pause_campaign.function(world.instantly, ref, "asked")
    approval = await world.approve(draft=replace(DRAFT, campaign_id=who))
    return partial(instantly.resume_campaign.function, world.instantly, ref, who, approval)


async def silenced(world: instantly_world.World, who: str) -> Act:
    await world.act("workspace", mailbox=f"{who}@ours.example", status=1)
    return partial(instantly.pause_mailbox.function, world.instantly, f"{who}@ours.example", "asked")


async def heard_again(world: instantly_world.World, who: str) -> Act:
    await (await silenced(world, who))()
    box = f"{who}@ours.example"
    return partial(
        instantly.resume_mailbox.function, world.instantly, box, await world.approve(mailboxes=[box])
    )


async def removed(world: instantly_world.World, who: str) -> Act:
    await a_campaign(world, who)
    return partial(instantly.remove_lead.function, world.instantly, f"kim@{who}.example", "asked")


async def blocked(world: instantly_world.World, who: str) -> Act:
    return partial(instantly.add_to_blocklist.function, world.instantly, [f"{who}.example"], "asked")


async def answered(world: instantly_world.World, who: str) -> Act:
    ref, start = await a_campaign(world, who)
    await start()
    await world.run(ref)
    lead = f"kim@{who}.example"
    message = (await world.act("receive", lead=lead, text="What does it cost?"))["id"]
    came_to = (await world.ask("GET", f"/emails/{message}")).json()["eaccount"]
    reply = ReplyMessage(message, lead, came_to, "Re: A question", "Nothing.")
    return partial(
        instantly.send_reply.function, world.instantly, reply, await world.approve(replies=[reply])
    )


async def subscribed(world: instantly_world.World, who: str) -> Act:
    return partial(instantly.ensure_webhooks.function, world.instantly, f"http://127.0.0.1:9/{who}")


def unread(path: str, method: str = "GET", skip: int = 0) -> tuple[Mapping[str, Any], ...]:
    return ({"kind": "drop_before", "method": method, "path": path, "times": ALWAYS, "skip": skip},)


INSTANTLY = (
    # Of two requests the second: what is half made counts as not there, and is completed by trying again.
    Case(("instantly", "create_campaign"), "PATCH", "/campaigns/", drafted),
    Case(("instantly", "update_campaign"), "PATCH", "/campaigns/", redrafted),
    Case(("instantly", "add_lead"), "POST", "/leads/add$", enrolled),
    Case(("instantly", "activate_campaign"), "POST", "/activate$", activated),
    Case(("instantly", "pause_campaign"), "POST", "/pause$", paused, also=unread("/campaigns/")),
    Case(("instantly", "resume_campaign"), "POST", "/activate$", resumed),
    # The first read tells how it stood before.
    Case(("instantly", "pause_mailbox"), "POST", "/pause$", silenced, also=unread("/accounts/", skip=1)),
    Case(("instantly", "resume_mailbox"), "POST", "/resume$", heard_again, also=unread("/accounts/", skip=1)),
    Case(
        ("instantly", "remove_lead"),
        "DELETE",
        "/leads/",
        removed,
        also=unread("/leads/list$", "POST", skip=2),
    ),
    Case(("instantly", "add_to_blocklist"), "POST", "/bulk-create$", blocked, also=unread("/block")),
    Case(("instantly", "send_reply"), "POST", "/emails/reply$", answered),
    Case(("instantly", "ensure_webhooks"), "POST", "/webhooks$", subscribed),
)


@asynccontextmanager
async def at_instantly(settings_for: Callable[..., Settings], _home: Path) -> AsyncIterator[Place]:
    async with instantly_world.open_world(settings_for, clock=ghl_world.Hurried()) as world:
        url = str(world.http.base_url).rstrip("/")
        yield Place(world.kernel, world, {"instantly": world.instantly}, {"instantly": url})


RESTED = 601.0  # seconds after which failed attempts and a breaker hold nothing back any more


# ── the walk ─────────────────────────────────────────────────────────────────────────────────────────────
WALKS = {at_ghl: GHL, at_providers: PROVIDERS, at_instantly: INSTANTLY}
MODULES = load_settings(Path(__file__).parent.parent.parent / "config", {}).suite.servers
LOOKUPS = {
    name: look
    for server in MODULES
    for name, look in (load_server(server, MODULES).lookups.items() if server != "orchestrator" else ())
}


def test_the_walk_leaves_no_look_up_out() -> None:
    cases = [case.effect for walk in WALKS.values() for case in walk]
    assert sorted(cases) == sorted(LOOKUPS)
    assert OTHERWISE.keys() <= LOOKUPS.keys()


@pytest.mark.parametrize("where", WALKS, ids=lambda where: where.__name__)
@pytest.mark.requirement("D2", "F1", "F2")
async def test_a_look_up_finds_what_was_done_and_misses_what_was_not(
    where: Any, settings_for: Callable[..., Settings], tmp_path: Path
) -> None:
    async with where(settings_for, tmp_path) as place:
        for number, case in enumerate(WALKS[where]):
            said = {kind: await after_losing(place, case, kind, f"p{number}{kind[5]}") for kind in case.order}
            done, undone = OTHERWISE.get(case.effect, (FOUND, NOT_THERE))
            assert said == {"drop_after": done, "drop_before": undone}, case.effect


async def after_losing(place: Place, case: Case, kind: str, who: str) -> str:
    """What a look-up says of the effect whose request or answer was lost."""
    vendor = case.effect[0]
    await place.kernel.clock.sleep(RESTED)
    act = await case.ready(place.world, who)
    before = await doubtful(place, case)
    await place.faults(vendor, case.faults(kind))
    await act()
    await place.faults(vendor, [])
    await place.kernel.clock.sleep(RESTED)
    (lost,) = [row for key, row in (await doubtful(place, case)).items() if key not in before]

    async def look(effect: Effect, /) -> Receipt | None:
        return await LOOKUPS[case.effect](place.instances[vendor], effect)

    said = await place.kernel.gate.look(lost, look)
    return f"{said.status} {said.reason}".strip() if said.status == "failed" else said.status


async def doubtful(place: Place, case: Case) -> dict[str, Row]:
    vendor, action = case.effect
    rows = await place.kernel.ledger.list(status="in_doubt", vendor=vendor, actions=[action])
    return {row.key: row for row in rows}
