"""A live kernel with Instantly opened against its emulator, and what tests put into it."""

import json as jsonlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import sqlalchemy as sa

from servers.instantly import tools
from servers.instantly.account import Instantly, open_instantly
from servers.instantly.sandbox import build
from shared.approval import Item, Person
from shared.clock import Clock
from shared.effect import Outcome, fingerprint
from shared.kernel import Kernel, open_kernel
from shared.ports import BatchOutcome, CampaignDraft, Enrollment, Message, ReplyMessage, SendingWindow
from shared.sandbox import serve
from shared.settings import Settings

DRAFT = CampaignDraft(
    campaign_id="c-1",
    name="Displacement",
    day_offsets=(0, 3, 7),
    mailboxes=("ae@outreach.example", "sam@outreach.example"),
    window=SendingWindow(timezone="America/New_York"),
)
ALL_EVENTS = {"target_hook_url": "http://127.0.0.1:9/webhooks/instantly", "event_type": "all_events"}


@dataclass(frozen=True, slots=True)
class World:
    """An opened Instantly, and its emulator's control endpoints."""

    kernel: Kernel
    instantly: Instantly
    http: httpx.AsyncClient

    async def log(self, action: str = "") -> list[dict[str, Any]]:
        """What the emulator committed, in order."""
        entries = (await self.http.get("/_control/log")).json()
        return [entry for entry in entries if action in ("", entry["action"])]

    async def requests(self, method: str, path: str) -> list[dict[str, Any]]:
        """The requests the emulator got."""
        entries = (await self.http.get("/_control/requests")).json()
        return [entry for entry in entries if entry["method"] == method and entry["path"] == f"/api/v2{path}"]

    async def fault(self, **plan: Any) -> None:
        """One fault, replacing those in force."""
        await self.http.put("/_control/faults", json=[plan])

    async def act(self, name: str, **arguments: Any) -> dict[str, Any]:
        """Something the vendor does by itself, or how it is set."""
        answer = await self.http.post(f"/_control/act/{name}", json=arguments)
        done: dict[str, Any] = answer.json()
        return done

    async def run(self, campaign: str, steps: int = 1) -> int:
        """Have the emulator send what is due; how many messages that were."""
        answer = await self.http.post("/_control/act/run", json={"campaign": campaign, "steps": steps})
        return int(answer.json()["sent"])

    async def ask(self, method: str, path: str, json: Any = None, **query: Any) -> httpx.Response:
        """A request to the emulator that doesn't pass our code."""
        headers = {"authorization": "Bearer other"}
        url = f"/api/v2{path}"
        if json is None:
            return await self.http.request(method, url, params=query, headers=headers)
        return await self.http.request(method, url, params=query, json=json, headers=headers)

    async def approve(
        self,
        people: Iterable[Enrollment] = (),
        draft: CampaignDraft = DRAFT,
        replies: Iterable[ReplyMessage] = (),
        mailboxes: Iterable[str] = (),
    ) -> str:
        """A person's yes to all of these, and to starting and resuming the campaign as drafted."""
        items = [Item("instantly.add_lead", fingerprint(one)) for one in people]
        items += [Item("instantly.send_reply", fingerprint(one)) for one in replies]
        items += [Item("instantly.resume_mailbox", fingerprint({"mailbox": one})) for one in mailboxes]
        start = fingerprint(draft)
        items += [Item("instantly.activate_campaign", start), Item("instantly.resume_campaign", start)]

        def give(connection: sa.Connection) -> str:
            person = Person("Ada", "ae")
            return self.kernel.approvals.give_in(
                connection, draft.campaign_id, items, person=person, fingerprint=start
            )

        return await self.kernel.store.write(give)

    async def drafted(self, draft: CampaignDraft = DRAFT) -> str:
        """Create the campaign; its id at the vendor."""
        outcome: Outcome = await tools.create_campaign.function(self.instantly, draft)
        assert outcome.status == "applied", outcome
        return outcome.reference

    async def enrolled(self, ref: str, people: Sequence[Enrollment]) -> BatchOutcome:
        """Enrol people on an approval of theirs."""
        approval = await self.approve(people)
        outcome: BatchOutcome = await tools.add_leads_to_campaign.function(
            self.instantly, ref, people, approval
        )
        return outcome

    async def live(self, people: Sequence[Enrollment]) -> str:
        """A campaign with these people, started."""
        ref = await self.drafted()
        await self.enrolled(ref, people)
        started = await tools.activate_campaign.function(self.instantly, ref, "c-1", await self.approve())
        assert started.status == "applied", started
        return ref


def person(email: str, number: int = 1, **changes: Any) -> Enrollment:
    """Somebody with three messages."""
    fields: Mapping[str, Any] = {
        "campaign_id": "c-1",
        "lead_id": f"l-{number}",
        "email": email,
        "first_name": "Kim",
        "company": "Acme",
        "messages": (
            Message("A question", f"Hi Kim,\n\nhow do you & Acme plan? ({number})"),
            Message("", "Second <thought>."),
            Message("", "Last one."),
        ),
    }
    return Enrollment(**{**fields, **changes})


def people(count: int) -> list[Enrollment]:
    """Several, each with words of their own."""
    return [person(f"kim{number}@acme{number}.example", number) for number in range(count)]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request of ours and its answer."""

    method: str
    path: str
    query: Mapping[str, str]
    sent: Any
    status: int
    answered: Any


class Recorder(httpx.AsyncHTTPTransport):
    """A transport that keeps what passes through it, and the headers of every request."""

    def __init__(self) -> None:
        super().__init__()
        self.exchanges: list[Exchange] = []
        self.headers: list[httpx.Headers] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send, read the whole answer, keep both."""
        answer = await super().handle_async_request(request)
        body = await answer.aread()
        sent = jsonlib.loads(request.content) if request.content else None
        query = dict(request.url.params)
        self.headers.append(request.headers)
        self.exchanges.append(
            Exchange(request.method, request.url.path, query, sent, answer.status_code, jsonlib.loads(body))
        )
        return httpx.Response(answer.status_code, headers=answer.headers, content=body)


@asynccontextmanager
async def open_world(
    settings_for: Callable[..., Settings],
    *,
    transport: Recorder | None = None,
    clock: Clock | None = None,
    **environ: str,
) -> AsyncIterator[World]:
    """Safe mode off unless `environ` says otherwise; the emulator sends only when told, and has the same clock."""
    async with serve(build(pace=0, clock=clock)) as url:
        settings = settings_for(**{"SAFE_MODE": "false", "INSTANTLY_BASE_URL": url, **environ})
        async with (
            open_kernel(settings, transport=transport, clock=clock) as kernel,
            open_instantly(kernel) as instantly,
            httpx.AsyncClient(base_url=url, trust_env=False) as http,
        ):
            yield World(kernel, instantly, http)
