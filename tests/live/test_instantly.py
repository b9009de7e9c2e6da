"""Against a staging workspace at Instantly itself: what its emulator claims, asked of the vendor. Nothing is ever sent.

Needs a workspace of its own, that no real campaign runs in:
    INSTANTLY_STAGING_KEY      a v2 API key with the scopes of docs/integrations/INSTANTLY.md
    INSTANTLY_STAGING_MAILBOX  one of its mailboxes; without it the first one is taken

No campaign is started: the one start that is tried must be refused, and finds nobody in the campaign. People are of
the domain example.com, which takes no mail. What a test makes it takes away again, by requests that our client has no
method for.
"""

import os
import shutil
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from servers.instantly import tools
from servers.instantly.account import Instantly, open_instantly
from servers.instantly.timezones import ACCEPTED
from shared.approval import Item, Person
from shared.effect import Outcome, fingerprint
from shared.kernel import Kernel, open_kernel
from shared.ports import CampaignDraft, Enrollment, Message
from shared.settings import Settings, load_settings
from tests.conftest import CONFIG, CONTRACTS
from tests.contract.openapi import load, validate_query, validate_request, validate_response
from tests.servers.instantly_world import Recorder

KEY = os.environ.get("INSTANTLY_STAGING_KEY", "")
URL = os.environ.get("INSTANTLY_STAGING_URL", "https://api.instantly.ai")
DOCUMENT = CONTRACTS / "instantly/openapi-needed.json"
pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(
        not KEY, reason="needs INSTANTLY_STAGING_KEY: a v2 key of a workspace that sends to nobody"
    ),
]


class Staging:
    """The workspace, seen by us and by hand; what was made in it goes away at the end."""

    def __init__(self, kernel: Kernel, instantly: Instantly, http: httpx.AsyncClient, mailbox: str) -> None:
        self.kernel = kernel
        self.instantly = instantly
        self.http = http
        self.mailbox = mailbox
        self.mark = uuid.uuid4().hex[:10]
        self._made: list[str] = []

    @property
    def draft(self) -> CampaignDraft:
        """A campaign that nobody else has."""
        return CampaignDraft(f"live-{self.mark}", "Staging test", (0, 3), (self.mailbox,))

    @property
    def person(self) -> Enrollment:
        """Somebody who can't be reached."""
        words = (Message("A question", "Hi,\n\n1 < 2 & so on."), Message("", "Second."))
        email = f"swarm-{self.mark}@example.com"
        return Enrollment(self.draft.campaign_id, f"l-{self.mark}", email, "Kim", "Lee", "Acme", "A", words)

    async def by_hand(self, method: str, path: str, json: Any = None) -> httpx.Response:
        """A request that doesn't pass our code."""
        return await self.http.request(
            method, f"/api/v2{path}", **({"json": json} if json is not None else {})
        )

    def goes_away(self, path: str) -> None:
        """Delete this at the end."""
        self._made.append(path)

    async def tidy(self) -> None:
        """Delete what was made, the last first."""
        for path in reversed(self._made):
            await self.by_hand("DELETE", path)

    async def drafted(self, draft: CampaignDraft | None = None) -> str:
        """Create the campaign; its id there."""
        outcome: Outcome = await tools.create_campaign.function(self.instantly, draft or self.draft)
        assert outcome.status == "applied", outcome
        self.goes_away(f"/campaigns/{outcome.reference}")
        return outcome.reference

    async def approve(self) -> str:
        """A yes to the person and to the start."""
        items = [
            Item("instantly.add_lead", fingerprint(self.person)),
            Item("instantly.activate_campaign", fingerprint(self.draft)),
        ]
        person = Person("staging", "ae")
        return await self.kernel.store.write(
            lambda c: self.kernel.approvals.give_in(c, self.mark, items, person=person, fingerprint=self.mark)
        )


def settings(folder: Path, mailbox: str) -> Settings:
    """Really acting, with a mailbox that is old enough to be written from."""
    config = folder / "config"
    shutil.copytree(CONFIG, config)
    safety = (config / "safety.yaml").read_text(encoding="utf-8")
    aged = safety.replace("  mailboxes: []", f"  mailboxes: [{{address: {mailbox}, started: 2020-01-01}}]")
    assert aged != safety
    (config / "safety.yaml").write_text(aged, encoding="utf-8")
    environ = {
        "SWARM_HOME": str(folder / "home"),
        "SAFE_MODE": "false",
        "INSTANTLY_WEBHOOK_SECRET": uuid.uuid4().hex,
    }
    return load_settings(config, {**environ, "INSTANTLY_API_KEY": KEY, "INSTANTLY_BASE_URL": URL})


def as_published(recorder: Recorder) -> None:
    """Every request and answer against the vendor's document, where it is at hand."""
    if not DOCUMENT.exists():
        return
    spec = load(DOCUMENT)
    for one in recorder.exchanges:
        validate_query(spec, one.method, one.path, one.query)
        validate_response(spec, one.method, one.path, one.status, one.answered)
        if one.sent is not None:
            validate_request(spec, one.method, one.path, one.sent)


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Staging]:
    headers = {"authorization": f"Bearer {KEY}", "user-agent": "alpha-swarm-staging/0.1"}
    recorder = Recorder()
    async with httpx.AsyncClient(base_url=URL, headers=headers, timeout=30, trust_env=False) as http:
        mailbox = os.environ.get("INSTANTLY_STAGING_MAILBOX", "")
        mailbox = mailbox or (await http.get("/api/v2/accounts")).json()["items"][0]["email"]
        async with (
            open_kernel(settings(folder, mailbox), transport=recorder) as kernel,
            open_instantly(kernel) as instantly,
        ):
            staging = Staging(kernel, instantly, http, mailbox)
            try:
                yield staging
            finally:
                await staging.tidy()
    as_published(recorder)


@pytest.fixture
async def staging(tmp_path: Path) -> AsyncIterator[Staging]:
    """The workspace, tidied up afterwards."""
    async with opened(tmp_path) as made:
        yield made


async def test_the_set_up_can_be_read_with_these_scopes(staging: Staging) -> None:
    checks = {one.name: one for one in await tools.check_setup.function(staging.instantly)}
    readable = ("campaigns", "leads", "mail", "block list", "mailboxes")
    assert {name: checks[name].message for name in readable if not checks[name].ok} == {}


async def test_a_campaign_is_a_draft_as_asked_for_and_made_once(staging: Staging) -> None:
    ref = await staging.drafted()
    again = await tools.create_campaign.function(staging.instantly, staging.draft, "another key")
    held = (await staging.by_hand("GET", f"/campaigns/{ref}")).json()
    assert (again.status, again.reference) == ("replayed", ref)
    assert (held["status"], held["email_list"]) == (0, [staging.mailbox])
    assert held["insert_unsubscribe_header"] is True


async def test_a_draft_is_changed_and_read_back(staging: Staging) -> None:
    ref = await staging.drafted()
    later = replace(staging.draft, daily_limit=7)
    assert (await tools.update_campaign.function(staging.instantly, ref, later)).status == "applied"
    assert (await staging.by_hand("GET", f"/campaigns/{ref}")).json()["daily_limit"] == 7


async def test_a_campaign_changed_by_hand_is_not_started(staging: Staging) -> None:
    ref, approval = await staging.drafted(), await staging.approve()
    await staging.by_hand("PATCH", f"/campaigns/{ref}", {"daily_limit": 3})
    outcome = await tools.activate_campaign.function(
        staging.instantly, ref, staging.draft.campaign_id, approval
    )
    assert outcome.status == "failed"
    assert outcome.reason in {"changed_at_vendor", "unsubscribes_not_blocked"}
    assert (await staging.by_hand("GET", f"/campaigns/{ref}")).json()["status"] == 0


async def test_somebody_is_added_with_their_words_found_again_and_taken_out(staging: Staging) -> None:
    ref, approval, person = await staging.drafted(), await staging.approve(), staging.person
    add = tools.add_leads_to_campaign.function
    first = await add(staging.instantly, ref, [person], approval)
    assert first.counts == {"applied": 1}, first
    status = await tools.get_lead_status.function(staging.instantly, person.email)
    removed = await tools.remove_lead.function(staging.instantly, person.email, "staging test")
    after = await tools.get_lead_status.function(staging.instantly, person.email)
    assert (status.found, status.campaigns) == (True, (ref,))
    assert (removed.status, after.found) == ("applied", False)


async def test_an_address_is_blocked_and_shown(staging: Staging) -> None:
    value = f"swarm-block-{staging.mark}@example.com"
    for _ in range(2):
        outcome = await tools.add_to_blocklist.function(staging.instantly, [value], "staging test")
        assert outcome.status == "applied", outcome
    page = await tools.list_blocklist.function(staging.instantly, search=value)
    assert [entry.value for entry in page.entries] == [value]
    for entry in (await staging.by_hand("GET", f"/block-lists-entries?search={value}")).json()["items"]:
        staging.goes_away(f"/block-lists-entries/{entry['id']}")


async def test_webhooks_are_made_once_with_our_secret(staging: Staging) -> None:
    url = f"https://{staging.mark}.example.com"
    first = await tools.ensure_webhooks.function(staging.instantly, url)
    staging.goes_away(f"/webhooks/{first.reference}")
    second = await tools.ensure_webhooks.function(staging.instantly, url)
    assert first.detail["change"] == "created"
    assert (second.reference, second.detail["change"]) == (first.reference, "none")


async def test_replies_and_mailboxes_can_be_read(staging: Staging) -> None:
    await tools.get_replies.function(staging.instantly, limit=1)
    page = await tools.list_mailboxes.function(staging.instantly)
    assert staging.mailbox in {box.email for box in page.mailboxes}
    assert page.missing == ""


async def test_the_list_of_time_zones_is_still_the_same(staging: Staging) -> None:
    """One of the accepted, and the commonest of those that aren't: should that change, the tables can shrink."""
    ref = await staging.drafted()
    held = (await staging.by_hand("GET", f"/campaigns/{ref}")).json()["campaign_schedule"]
    assert held["schedules"][0]["timezone"] in ACCEPTED
    held["schedules"][0]["timezone"] = "America/New_York"
    refused = await staging.by_hand("PATCH", f"/campaigns/{ref}", {"campaign_schedule": held})
    assert refused.status_code == 400


async def test_more_than_a_hundred_per_page_is_still_a_trap(staging: Staging) -> None:
    answer = await staging.by_hand("GET", "/campaigns?limit=101")
    assert answer.status_code == 400 or answer.json()["items"] == []
