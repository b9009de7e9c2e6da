"""What it costs to enrol 10,000 people at Instantly, as a ratio to a floor: `python -m bench.instantly`.

The floor posts the same bodies with bare httpx to the same emulator, which has a process of its own. Both take turns
in one run, so that a busy machine slows both, and the median is printed. Ours adds, for each person: approval,
suppression, caps, the claim before the call, the answer by index, the settlement, two entries in the audit log, all
durable. Then one answer of a thousand is lost, and the requests are counted that it takes to know who is in.
"""

import asyncio
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx

from servers.instantly import drafts, tools
from servers.instantly.account import Instantly, open_instantly
from servers.instantly.sandbox import build
from shared.approval import Item, Person
from shared.effect import fingerprint
from shared.kernel import Kernel, open_kernel
from shared.ports import CampaignDraft, Enrollment, Message
from shared.sandbox import serve
from shared.settings import Settings, load_settings

PEOPLE, PART, ROUNDS = 10_000, 1_000, 3
MOST_REQUESTS = 11
WORDS = "Growing sales teams often tell us that admin work grows faster than revenue. " * 9
HEADERS = {"authorization": "Bearer bench", "user-agent": "bench"}
HEAD = f"{'':34}{'requests':>10}{'leads/s':>10}"


@dataclass(frozen=True, slots=True)
class Turn:
    """One enrolment of everybody: how long it took, and what was asked for."""

    seconds: float
    imports: int
    look_ups: int
    others: int


def somebody(number: int, campaign_id: str) -> Enrollment:
    """A person with four messages of an ordinary length."""
    messages = tuple(
        Message("A question" if n == 0 else "", f"Hi Kim ({number}/{n}),\n\n{WORDS}") for n in range(4)
    )
    email = f"kim@acme{number}-{campaign_id}.example"
    return Enrollment(campaign_id, f"l-{number}", email, "Kim", "Lee", "Acme", "A", messages)


def draft(campaign_id: str) -> CampaignDraft:
    """A campaign for them."""
    return CampaignDraft(campaign_id, "Bench", (0, 3, 7, 14), ("ae@outreach.example",))


# ── the emulator ─────────────────────────────────────────────────────────────────────────────────────────
async def emulate() -> None:
    """Serve it until the process is told to end; says its address first."""
    async with serve(build(pace=0)) as url:
        print(url, flush=True)
        await asyncio.Event().wait()


@asynccontextmanager
async def emulator() -> AsyncIterator[httpx.AsyncClient]:
    """A client of an emulator in a process of its own."""
    command = (sys.executable, "-m", "bench.instantly", "emulate")
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    url = (await process.stdout.readline()).decode().strip()
    try:
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60, headers=HEADERS) as http:
            yield http
    finally:
        process.terminate()
        await process.wait()


async def asked(http: httpx.AsyncClient) -> list[str]:
    """What the emulator was asked for, as method and path."""
    requests = (await http.get("/_control/requests")).json()
    return [f"{one['method']} {one['path'].removeprefix('/api/v2')}" for one in requests]


# ── the two ways ─────────────────────────────────────────────────────────────────────────────────────────
async def floor(http: httpx.AsyncClient, people: list[Enrollment]) -> Turn:
    """The same bodies, posted as they are."""
    await http.post("/_control/reset")
    body, _ = drafts.campaign_body(
        draft(people[0].campaign_id),
        datetime.now(UTC).date(),
        open_tracking=True,
        stop_for_company=True,
        unsubscribe_text="Unsubscribe",
    )
    ref = (await http.post("/api/v2/campaigns", json=body)).json()["id"]
    rest = {"campaign_id": ref, "skip_if_in_workspace": False, "skip_if_in_campaign": True}
    parts = [people[start : start + PART] for start in range(0, len(people), PART)]
    began = time.perf_counter()
    for part in parts:
        leads = [drafts.lead_body(one) for one in part]
        answer = await http.post("/api/v2/leads/add", json={**rest, "leads": leads})
        assert answer.json()["leads_uploaded"] == len(part)
    return Turn(time.perf_counter() - began, len(parts), 0, 0)


async def ours(
    http: httpx.AsyncClient,
    kernel: Kernel,
    instantly: Instantly,
    people: list[Enrollment],
    status: str = "applied",
) -> Turn:
    """The tool, as a model or the orchestrator calls it."""
    campaign = draft(people[0].campaign_id)
    made = await tools.create_campaign.function(instantly, campaign)
    approval = await approved(kernel, people)
    before = len(await asked(http))
    began = time.perf_counter()
    ended = await tools.add_leads_to_campaign.function(instantly, made.reference, people, approval)
    seconds = time.perf_counter() - began
    assert set(ended.counts) == {status}, (ended.counts, {one.reason for one in ended.outcomes})
    return counted((await asked(http))[before:], seconds)


def counted(requests: list[str], seconds: float) -> Turn:
    """Requests by what they were for."""
    imports, look_ups = requests.count("POST /leads/add"), requests.count("POST /leads/list")
    return Turn(seconds, imports, look_ups, len(requests) - imports - look_ups)


async def approved(kernel: Kernel, people: list[Enrollment]) -> str:
    """A person's yes to each."""
    items = [Item("instantly.add_lead", fingerprint(one)) for one in people]
    person = Person("bench", "ae")
    return await kernel.store.write(
        lambda c: kernel.approvals.give_in(c, "bench", items, person=person, fingerprint="bench")
    )


# ── measuring ────────────────────────────────────────────────────────────────────────────────────────────
def settings(folder: Path, url: str) -> Settings:
    """The shipped configuration on a home of its own, really acting; the daily cap is out of the way."""
    config = folder / "config"
    shutil.copytree("config", config)
    safety = (config / "safety.yaml").read_text(encoding="utf-8")
    raised = safety.replace("instantly.add_lead: 1000", "instantly.add_lead: 1000000")
    assert raised != safety
    (config / "safety.yaml").write_text(raised, encoding="utf-8")
    environ = {"SWARM_HOME": str(folder / "home"), "SAFE_MODE": "false", "INSTANTLY_BASE_URL": url}
    return load_settings(config, environ)


def line(title: str, turn: Turn, people: int) -> str:
    """One measurement."""
    requests = turn.imports + turn.look_ups + turn.others
    return f"{title:34}{requests:>10}{people / turn.seconds:>10.0f}"


async def measure(http: httpx.AsyncClient, kernel: Kernel, instantly: Instantly) -> None:
    """Both ways in turns, then a lost answer; a line for each."""
    print(HEAD)
    floors, mine = [], []
    for turn in range(ROUNDS):
        people = [somebody(number, f"bench-{turn}") for number in range(PEOPLE)]
        floors.append(await floor(http, people))
        await http.post("/_control/reset")
        mine.append(await ours(http, kernel, instantly, people))
        print(line(f"posted raw, turn {turn + 1}", floors[-1], PEOPLE))
        print(line(f"enrolled, turn {turn + 1}", mine[-1], PEOPLE))
        assert mine[-1].imports + mine[-1].others <= MOST_REQUESTS, mine[-1]
        assert mine[-1].look_ups == 0
    ratio = statistics.median(raw.seconds / own.seconds for raw, own in zip(floors, mine, strict=True))
    print(f"requests for {PEOPLE}: {mine[-1].imports} imports, {mine[-1].others} read of the campaign")
    print(f"floor ÷ ours, median: {ratio:.2f}")
    await lost(http, kernel, instantly)


async def lost(http: httpx.AsyncClient, kernel: Kernel, instantly: Instantly) -> None:
    """One answer of a thousand is lost; asked again, nobody is imported twice."""
    people = [somebody(number, "bench-lost") for number in range(PART)]
    await http.post("/_control/reset")
    await http.put("/_control/faults", json=[{"kind": "drop_after", "path": "/leads/add$"}])
    first = await ours(http, kernel, instantly, people, "in_doubt")
    before = len(await asked(http))
    began = time.perf_counter()
    ref = (await http.get("/api/v2/campaigns")).json()["items"][0]["id"]
    again = await tools.add_leads_to_campaign.function(instantly, ref, people, await approved(kernel, people))
    turn = counted((await asked(http))[before + 1 :], time.perf_counter() - began)
    added = sum(entry["action"] == "add_lead" for entry in (await http.get("/_control/log")).json())
    assert (again.counts, added, turn.imports) == ({"replayed": PART}, PART, 0), (again.counts, added, turn)
    print(
        f"an answer for {PART} lost: {first.imports} import, then {turn.look_ups} look-ups in {turn.seconds:.1f} s, "
        f"{added} enrolled, none twice"
    )


async def main() -> None:
    """Measure against an emulator in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        async with (
            emulator() as http,
            open_kernel(settings(Path(folder), str(http.base_url).rstrip("/"))) as kernel,
            open_instantly(kernel) as instantly,
        ):
            await measure(http, kernel, instantly)


if __name__ == "__main__":
    asyncio.run(emulate() if sys.argv[1:] == ["emulate"] else main())
