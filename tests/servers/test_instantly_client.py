"""What the client of Instantly can ask for: walked method by method; nothing in it can delete a collection."""

import inspect
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, get_type_hints

import pytest

from servers.instantly import tools
from servers.instantly.api import InstantlyApi
from shared.effect import Effect, Receipt
from shared.errors import SwarmError
from shared.gate import Permit
from shared.settings import Settings
from tests.servers.instantly_world import World, open_world, people

ID = "00000000-0000-4000-8000-000000000000"
CAN = {
    ("GET", "/workspaces/current"),
    ("GET", "/campaigns"),
    ("GET", "/campaigns/{id}"),
    ("GET", "/campaigns/analytics"),
    ("POST", "/campaigns"),
    ("PATCH", "/campaigns/{id}"),
    ("POST", "/campaigns/{id}/activate"),
    ("POST", "/campaigns/{id}/pause"),
    ("POST", "/leads/list"),
    ("POST", "/leads/add"),
    ("DELETE", "/leads/{id}"),
    ("GET", "/block-lists-entries"),
    ("POST", "/block-lists-entries/bulk-create"),
    ("GET", "/emails"),
    ("GET", "/emails/{id}"),
    ("POST", "/emails/reply"),
    ("GET", "/accounts"),
    ("GET", "/accounts/{id}"),
    ("POST", "/accounts/{id}/pause"),
    ("POST", "/accounts/{id}/resume"),
    ("GET", "/accounts/analytics/daily"),
    ("POST", "/accounts/warmup-analytics"),
    ("GET", "/webhooks"),
    ("POST", "/webhooks"),
    ("PATCH", "/webhooks/{id}"),
    ("POST", "/webhooks/{id}/resume"),
    ("GET", "/webhook-events"),
}
METHODS = sorted(
    name
    for name, member in vars(InstantlyApi).items()
    if inspect.iscoroutinefunction(member) and name[0] != "_"
)


@pytest.fixture
async def world(settings_for: Callable[..., Settings]) -> AsyncIterator[World]:
    """A live kernel with the emulator behind it."""
    async with open_world(settings_for) as opened:
        yield opened


def argument(kind: Any, permit: Permit) -> Any:
    """Something of that type."""
    if kind is Permit:
        return permit
    if kind is str:
        return ID
    return {"name": "x"} if getattr(kind, "__origin__", None) is Mapping else ["kim@acme.example"]


async def called(world: World, name: str) -> set[tuple[str, str]]:
    """The requests that one method makes, with ids as `{id}`."""
    method = getattr(world.instantly.api, name)
    hints, parameters = get_type_hints(method), inspect.signature(method).parameters.values()
    needed = [hints[p.name] for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    before = len((await world.http.get("/_control/requests")).json())

    async def perform(permit: Permit) -> Receipt:
        try:
            await method(*[argument(kind, permit) for kind in needed])
        except SwarmError:  # the emulator may not know the id; that it was asked is what counts
            return Receipt("asked")
        return Receipt("answered")

    effect = Effect("instantly", "pause_campaign", name, name, {"method": name}, stops=True)
    await world.instantly.gate.submit(effect, perform)
    requests = (await world.http.get("/_control/requests")).json()[before:]
    return {(one["method"], one["path"].removeprefix("/api/v2").replace(ID, "{id}")) for one in requests}


async def everything(world: World) -> set[tuple[str, str]]:
    """What all methods together ask for; each asks for one thing."""
    asked: set[tuple[str, str]] = set()
    for name in METHODS:
        one = await called(world, name)
        assert len(one) == 1, name
        asked |= one
    return asked


async def test_the_client_can_ask_for_this_and_for_nothing_else(world: World) -> None:
    assert await everything(world) == CAN
    assert len(METHODS) == len(CAN)


async def test_no_method_deletes_a_collection_or_anything_but_one_lead(world: World) -> None:
    asked = await everything(world)
    assert {path for method, path in asked if method == "DELETE"} == {"/leads/{id}"}
    assert not any(word in path for _, path in asked for word in ("bulk-delete", "delete", "move", "merge"))


async def test_no_method_spends_credits(world: World) -> None:
    asked = await everything(world)
    assert not any(
        word in path for _, path in asked for word in ("verification", "enrich", "supersearch", "ai-")
    )
    await world.live(people(2))
    imports = [one["json"] for one in await world.requests("POST", "/leads/add")]
    assert imports
    assert not any(one.get("verify_leads_on_import") for one in imports)


@pytest.mark.parametrize("ref", ["", ".", "..", "a/b", "../leads", "x?y=1", "%2e%2e"])
async def test_an_id_that_leads_elsewhere_reaches_nobody(world: World, ref: str) -> None:
    with pytest.raises(SwarmError):
        await tools.get_campaign.function(world.instantly, ref)
    paths = {one["path"] for one in (await world.http.get("/_control/requests")).json()}
    assert all(path.startswith("/api/v2/campaigns/") for path in paths)


async def test_the_webhook_secret_is_in_no_log_line_and_in_no_table(
    world: World, capfd: pytest.CaptureFixture[str]
) -> None:
    url, secret = "http://127.0.0.1:9", world.instantly.webhook_secret
    made = await tools.ensure_webhooks.function(world.instantly, url)
    await world.ask("PATCH", f"/webhooks/{made.reference}", {"headers": {"x-swarm-secret": "old"}})
    await world.act("disable_webhook", id=made.reference)
    assert (await tools.ensure_webhooks.function(world.instantly, url)).detail["change"] == "resumed"
    for kind in ("drop_after", "error_after", "error_body", "truncate"):
        await world.fault(kind=kind, path="/webhooks", times=-1)
        with pytest.raises(SwarmError):
            await world.instantly.api.webhooks()
        await tools.ensure_webhooks.function(world.instantly, url)
    held = [one["json"] for one in await world.requests("POST", "/webhooks")]
    assert held[0]["headers"] == {"x-swarm-secret": secret}
    told = capfd.readouterr()
    database = world.kernel.settings.home.rglob("*")
    assert "http.call" in told.out + told.err
    assert secret not in told.out + told.err
    assert not [path for path in database if path.is_file() and secret.encode() in path.read_bytes()]
