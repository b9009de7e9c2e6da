"""GoHighLevel for real, at a staging location: create, look up, update, tag, opportunity, do not contact, clean up.

Needs GHL_STAGING_API_KEY and GHL_STAGING_LOCATION_ID, names of their own so that a production key is never used by
accident. The one contact it makes has a fresh address at example.com and is deleted at the end, whatever happened.
What the fact sheet could not tell for sure is printed with `-s`, and asserted where we rely on it.
"""

import os
import secrets
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from servers.ghl import SERVER
from servers.ghl.account import Ghl, open_ghl
from servers.ghl.tagging import Person
from shared.clock import iso
from shared.kernel import open_kernel
from shared.ports import BatchOutcome, Check, ContactPage, ContactRecord, ContactView
from shared.settings import load_settings
from tests.conftest import CONFIG

KEY, LOCATION = (os.environ.get(f"GHL_STAGING_{name}", "") for name in ("API_KEY", "LOCATION_ID"))
pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(
        not (KEY and LOCATION),
        reason="needs GHL_STAGING_API_KEY and GHL_STAGING_LOCATION_ID of a staging location",
    ),
]
# Another address only to rehearse this file against the emulator.
BASE = os.environ.get("GHL_STAGING_BASE_URL", "https://services.leadconnectorhq.com")


def told(*words: object) -> None:
    """For whoever runs it with `-s`: what the vendor really does."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")


@dataclass
class Staging:
    """The opened server, and an address that nobody has."""

    ghl: Ghl
    email: str

    async def call(self, tool: str, **arguments: Any) -> Any:
        return await next(t for t in SERVER.tools if t.name == tool).function(self.ghl, **arguments)

    async def contact(self) -> ContactView:
        page: ContactPage = await self.call("get_contact", email=self.email)
        return page.contacts[0]


@pytest.fixture
async def staging(tmp_path: Path) -> AsyncIterator[Staging]:
    environ = {
        "SWARM_HOME": str(tmp_path),
        "SAFE_MODE": "false",
        "GHL_API_KEY": KEY,
        "GHL_LOCATION_ID": LOCATION,
        "GHL_BASE_URL": BASE,
    }
    async with open_kernel(load_settings(CONFIG, environ)) as kernel, open_ghl(kernel) as ghl:
        made = Staging(ghl, f"alpha-swarm-{secrets.token_hex(6)}@example.com")
        try:
            yield made
        finally:
            await clean_up(made)


async def clean_up(staging: Staging) -> None:
    """The product deletes nothing, so this is done past it."""
    found = await staging.ghl.api.find_duplicate(email=staging.email)
    if found.get("id"):
        headers = {"Authorization": f"Bearer {KEY}", "Version": "v3"}
        async with httpx.AsyncClient(base_url=BASE, headers=headers) as http:
            (await http.delete(f"/contacts/{found['id']}")).raise_for_status()


async def test_the_setup_is_read_and_says_what_is_missing(staging: Staging) -> None:
    checks: tuple[Check, ...] = await staging.call("check_setup")
    for one in checks:
        told("ok" if one.ok else "PROBLEM", one.name, one.message)
    assert checks[0].name == "location"
    assert checks[0].message.startswith("reached")


async def test_a_contact_is_made_found_changed_tagged_and_closed(staging: Staging) -> None:
    record = ContactRecord(
        staging.email, first_name="Alpha", company="Alpha Swarm", title="CRO", tags=("Alpha-Test",)
    )
    made = await staging.call("upsert_contact", contact=record)
    told("created:", made.status, made.reason, dict(made.detail))
    assert (made.status, made.detail["created"]) == ("applied", True)
    seen = await staging.contact()  # search/duplicate shows a write at once
    assert (seen.id, seen.first_name, seen.company, seen.tags) == (
        made.reference,
        "Alpha",
        "Alpha Swarm",
        ("alpha-test",),
    )

    again = await staging.call("upsert_contact", contact=ContactRecord(staging.email, first_name="Beta"))
    assert (again.reference, again.detail["before"], again.detail["after"]) == (
        made.reference,
        {"first_name": "Alpha"},
        {"first_name": "Beta"},
    )
    who = {"contact_id": made.reference, "email": staging.email}
    await staging.call("tag_contact", **who, add=["alpha-hot"], remove=["alpha-test"])
    assert (await staging.contact()).tags == ("alpha-hot",)
    bulk: BatchOutcome = await staging.call(
        "tag_contacts", people=[Person(made.reference)], add=["alpha-bulk"]
    )
    told("bulk tags:", bulk.counts)
    assert bulk.counts == {"applied": 1}

    closed = await staging.call("set_dnc", email=staging.email, reason="live test")
    assert closed.status == "applied"
    blocked: ContactPage = await staging.call("list_blocked", contact_ids=[made.reference])
    assert [one.id for one in blocked.contacts] == [made.reference]


async def test_an_opportunity_is_made_once_and_moved(staging: Staging) -> None:
    made = await staging.call("upsert_contact", contact=ContactRecord(staging.email, first_name="Alpha"))
    who = {"contact_id": made.reference, "email": staging.email}
    if not next(one for one in await staging.call("check_setup") if one.name == "pipeline").ok:
        pytest.skip("the staging location has no Alpha Swarm Pipeline; ghl_ensure_setup makes it")
    first = await staging.call("create_opportunity", **who, name="Alpha test")
    second = await staging.call("create_opportunity", **who, name="Alpha test")
    assert (first.status, second.status) == ("applied", "replayed")
    assert (await staging.call("move_opportunity", **who, stage="Contacted")).status == "applied"


async def test_what_changed_lately_can_be_asked_for(staging: Staging) -> None:
    since = iso(staging.ghl.clock.now() - timedelta(hours=1))
    marked: ContactPage = await staging.call("list_dnc", changed_since=since, limit=10)
    replies = await staging.call("list_replies", since=since)
    told(len(marked.contacts), "marked,", len(replies.messages), "replies within an hour")
    workflows = await staging.call("list_workflows")
    told(len(workflows), "workflows:", {one.status for one in workflows})
