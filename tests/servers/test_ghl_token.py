"""Tokens: OAuth renewed by one process at a time, durable before use, lost only once; nothing is renewed in vain."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest
import sqlalchemy as sa

from servers.ghl.account import Ghl, open_ghl
from servers.ghl.sandbox import build
from servers.ghl.token import PrivateToken
from shared.errors import ConfigError, Fatal, Retryable, SwarmError
from shared.kernel import Kernel, open_kernel
from shared.ports import ContactRecord
from shared.sandbox import serve
from shared.schema import vault
from shared.settings import Settings
from shared.vault import lost_in
from tests.servers.ghl_world import Bench, Hurried, Recorder, check_contract

pytestmark = pytest.mark.requirement("F17")
Make = Callable[..., Settings]
APP = {
    "GHL_CLIENT_ID": "sandbox-client",
    "GHL_CLIENT_SECRET": "sandbox-client-secret",
    "GHL_AUTHORIZATION_CODE": "sandbox-code",
    "SAFE_MODE": "false",
}
DAY = 86_399


@dataclass
class World:
    """One emulator and one database; as many processes as are opened."""

    stack: AsyncExitStack
    settings_for: Make
    url: str
    clock: Hurried
    recorder: Recorder

    async def process(self, **environ: str) -> Bench:
        """One more process on the same database."""
        settings = self.settings_for(**{**APP, "GHL_BASE_URL": self.url, **environ})
        opening = open_kernel(settings, clock=self.clock, transport=self.recorder)
        kernel: Kernel = await self.stack.enter_async_context(opening)
        ghl: Ghl = await self.stack.enter_async_context(open_ghl(kernel))
        return Bench(kernel, ghl, self.url, self.clock, self.recorder)

    def renewals(self) -> list[dict[str, Any]]:
        """What the vendor was asked for tokens with."""
        return [e.body for e in self.recorder.exchanges if e.path == "/oauth/token"]


@asynccontextmanager
async def opened(settings_for: Make) -> AsyncIterator[World]:
    clock, recorder = Hurried(), Recorder()
    async with serve(build(None, clock=clock)) as url, AsyncExitStack() as stack:
        yield World(stack, settings_for, url, clock, recorder)


@pytest.fixture
async def world(settings_for: Make) -> AsyncIterator[World]:
    async with opened(settings_for) as made:
        yield made


def written(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


async def lost(bench: Bench) -> list[str]:
    return list(await bench.kernel.store.read(lost_in))


# ── the ordinary life of a token ─────────────────────────────────────────────────────────────────────────
async def test_the_code_is_exchanged_once_and_what_follows_is_kept(world: World) -> None:
    bench = await world.process()
    await bench.upsert()
    await bench.upsert(ContactRecord("bob@corp.example"))
    assert [sorted(body) for body in world.renewals()] == [
        ["clientId", "clientSecret", "code", "grantType", "userType"]
    ]
    carried = {e.authorization for e in world.recorder.exchanges if e.path != "/oauth/token"}
    assert len(carried) == 1
    assert carried.pop().startswith("Bearer oauth-")
    check_contract(bench)


async def test_the_request_for_a_token_carries_none(world: World) -> None:
    bench = await world.process()
    await bench.call("list_pipelines")
    [asked] = [e for e in world.recorder.exchanges if e.path == "/oauth/token"]
    assert (asked.authorization, asked.version) == ("", "v3")


async def test_it_is_renewed_before_it_runs_out(world: World) -> None:
    bench = await world.process()
    await bench.call("list_pipelines")
    await world.clock.sleep(DAY - 300)
    await bench.call("list_pipelines")
    assert [body["grantType"] for body in world.renewals()] == ["authorization_code", "refresh_token"]
    assert [e.status for e in world.recorder.exchanges if e.status == 401] == []


async def test_a_restart_goes_on_with_what_is_in_the_database(world: World) -> None:
    await (await world.process()).call("list_pipelines")
    await (await world.process()).call("list_pipelines")
    assert len(world.renewals()) == 1


async def test_nothing_of_a_token_stands_readable_in_the_database_or_its_file(world: World) -> None:
    bench = await world.process()
    await bench.call("list_pipelines")
    issued = world.recorder.exchanges[0].answer
    stored = await bench.kernel.store.read(lambda c: c.execute(sa.select(vault)).mappings().all())
    files = written(bench.kernel.settings.home)
    for secret in (issued["accessToken"], issued["refreshToken"]):
        assert secret not in str(stored)
        assert secret.encode() not in files


# ── refused in the middle ────────────────────────────────────────────────────────────────────────────────
async def test_a_read_and_a_write_go_on_after_their_token_ended(world: World) -> None:
    bench = await world.process()
    await bench.upsert()
    await bench.act("end_tokens")
    assert (await bench.contact(email="jane@corp.example")).first_name == "Jane"
    await bench.act("end_tokens")
    outcome = await bench.upsert(ContactRecord("bob@corp.example"))
    assert (outcome.status, len(await bench.committed("create_contact"))) == ("applied", 2)
    assert len(world.renewals()) == 3


async def test_many_refused_at_once_renew_once(world: World) -> None:
    bench = await world.process()
    await bench.call("list_pipelines")
    await bench.act("end_tokens")
    async with anyio.create_task_group() as tasks:
        for _ in range(12):
            tasks.start_soon(bench.call, "list_pipelines")
    assert len(world.renewals()) == 2


async def test_two_processes_renew_once_between_them(world: World) -> None:
    first, second = await world.process(), await world.process()
    await first.call("list_pipelines")
    await second.call("list_pipelines")
    await first.act("end_tokens")
    async with anyio.create_task_group() as tasks:
        for bench in (first, second) * 4:
            tasks.start_soon(bench.call, "list_pipelines")
    assert [body["grantType"] for body in world.renewals()] == ["authorization_code", "refresh_token"]


async def test_a_token_that_another_process_put_there_is_taken_without_a_renewal(world: World) -> None:
    first, second = await world.process(), await world.process()
    await first.call("list_pipelines")
    await second.call("list_pipelines")
    await first.act("end_tokens")
    await first.call("list_pipelines")
    before = len(world.renewals())
    await second.call("list_pipelines")
    assert len(world.renewals()) == before


@pytest.mark.parametrize(
    "message",
    ["The token is not authorized for this scope.", "version header is invalid", "tags can't be undefined"],
)
async def test_a_refusal_that_another_token_would_not_cure_renews_nothing(world: World, message: str) -> None:
    bench = await world.process()
    await bench.call("list_pipelines")
    fault = {"kind": "status", "status": 401, "message": message, "path": "/pipelines"}
    await bench.faults(fault)
    with pytest.raises(SwarmError):
        await bench.call("list_pipelines")
    assert len(world.renewals()) == 1


async def test_a_vendor_that_refuses_every_token_is_asked_for_one_more_only(world: World) -> None:
    bench = await world.process()
    await bench.call("list_pipelines")
    message = "Invalid token: access token is invalid"
    await bench.faults(
        {"kind": "status", "status": 401, "message": message, "path": "/pipelines", "times": -1}
    )
    with pytest.raises(Fatal) as caught:
        await bench.call("list_pipelines")
    assert (caught.value.code, len(world.renewals())) == ("token_expired", 2)


async def test_a_private_token_is_never_renewed(settings_for: Make) -> None:
    token = PrivateToken("pit-12345678")
    await token.ready()
    assert (await token.renew("pit-12345678"), token.value) == (False, "pit-12345678")


# ── lost ─────────────────────────────────────────────────────────────────────────────────────────────────
async def test_the_new_pair_is_durable_before_it_is_used(world: World) -> None:
    bench = await world.process()
    await bench.call("list_pipelines")
    await bench.act("end_tokens")
    await bench.faults({"kind": "drop_before", "path": "/pipelines", "times": -1})
    with pytest.raises(Retryable):
        await bench.call("list_pipelines")
    await bench.faults()
    await (await world.process()).call("list_pipelines")
    assert len(world.renewals()) == 2


async def test_a_renewal_that_never_arrived_is_made_again(world: World) -> None:
    bench = await world.process()
    await bench.call("list_pipelines")
    await bench.act("end_tokens")
    await bench.faults({"kind": "drop_before", "path": "/oauth/token", "times": 2})
    await bench.call("list_pipelines")
    assert await lost(bench) == []


async def test_a_lost_answer_to_a_renewal_leaves_one_alert_and_no_loop(world: World) -> None:
    bench = await world.process()
    await bench.call("list_pipelines")
    await bench.act("end_tokens")
    await bench.faults({"kind": "drop_after", "path": "/oauth/token"})
    with pytest.raises(Fatal) as caught:
        await bench.call("list_pipelines")
    assert caught.value.code == "credentials_lost"
    assert await lost(bench) == ["ghl"]
    asked = len(world.recorder.exchanges)
    for process in (bench, await world.process()):
        for _ in range(5):
            with pytest.raises(Fatal):
                await process.call("list_pipelines")
            await world.clock.sleep(600)
    assert len(world.recorder.exchanges) == asked
    entries = [entry["kind"] for entry in await bench.kernel.audit.tail(200)]
    assert entries.count("credentials.lost") == 1


async def test_while_the_old_token_works_a_lost_renewal_stops_nothing(world: World) -> None:
    bench = await world.process()
    await bench.call("list_pipelines")
    await world.clock.sleep(DAY - 300)
    await bench.faults({"kind": "drop_after", "path": "/oauth/token"})
    await bench.call("list_pipelines")
    assert await lost(bench) == ["ghl"]
    asked = len(world.renewals())
    await bench.call("list_pipelines")
    assert len(world.renewals()) == asked


async def test_a_vendor_that_is_down_for_a_while_is_not_taken_for_a_lost_token(world: World) -> None:
    bench = await world.process()
    await bench.call("list_pipelines")
    await bench.act("end_tokens")
    await bench.faults({"kind": "status", "status": 503, "path": "/oauth/token", "times": 4})
    with pytest.raises(Retryable):
        await bench.call("list_pipelines")
    assert await lost(bench) == []
    await world.clock.sleep(121)
    await bench.call("list_pipelines")


async def test_a_new_code_ends_the_loss(world: World) -> None:
    bench = await world.process()
    await bench.call("list_pipelines")
    await bench.act("end_tokens", refresh=True)
    with pytest.raises(Fatal):
        await bench.call("list_pipelines")
    await bench.act("install", code="second-code")
    again = await world.process(GHL_AUTHORIZATION_CODE="second-code")
    await again.call("list_pipelines")
    await bench.call("list_pipelines")
    assert await lost(again) == []


async def test_a_new_code_is_taken_while_the_old_token_still_works(world: World) -> None:
    await (await world.process()).call("list_pipelines")
    bench = await world.process(GHL_AUTHORIZATION_CODE="second-code")
    await bench.act("install", code="second-code")
    await bench.call("list_pipelines")
    assert [body.get("code") for body in world.renewals()] == ["sandbox-code", "second-code"]


async def test_a_code_that_is_refused_is_tried_once_and_told(world: World) -> None:
    bench = await world.process(GHL_AUTHORIZATION_CODE="never-given")
    for _ in range(3):
        with pytest.raises(Fatal) as caught:
            await bench.call("list_pipelines")
        assert caught.value.code == "credentials_lost"
        await world.clock.sleep(600)
    assert len(world.renewals()) == 1
    assert await lost(bench) == ["ghl"]


async def test_a_first_refresh_token_does_as_well_as_a_code(world: World) -> None:
    bench = await world.process(GHL_AUTHORIZATION_CODE="", GHL_REFRESH_TOKEN="sandbox-refresh")
    await bench.call("list_pipelines")
    assert [body["grantType"] for body in world.renewals()] == ["refresh_token"]


async def test_a_wrong_client_secret_is_for_a_person_and_loses_nothing(world: World) -> None:
    bench = await world.process(GHL_CLIENT_SECRET="wrong")
    with pytest.raises(Fatal):
        await bench.call("list_pipelines")
    assert await lost(bench) == []
    await (await world.process()).call("list_pipelines")


async def test_a_key_and_an_app_together_are_refused(settings_for: Make) -> None:
    async with open_kernel(settings_for(**APP, GHL_API_KEY="pit-12345678", GHL_LOCATION_ID="l")) as kernel:
        with pytest.raises(ConfigError, match="not both"):
            async with open_ghl(kernel):
                pass


def test_an_app_alone_is_the_vendor_and_not_the_emulator(settings_for: Make) -> None:
    settings = settings_for(GHL_CLIENT_ID="app", GHL_LOCATION_ID="l").vendor("ghl")
    assert (settings.sandbox, settings.base_url) == (False, "https://services.leadconnectorhq.com")


async def test_no_secret_is_in_a_log_line(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    bench = await world.process()
    await bench.upsert()
    await bench.act("end_tokens")
    await bench.faults({"kind": "drop_after", "path": "/oauth/token"})
    with pytest.raises(Fatal):
        await bench.call("list_pipelines")
    answers = [e.answer for e in world.recorder.exchanges if e.path == "/oauth/token" and e.status == 200]
    said = "".join(capsys.readouterr())
    issued = [
        str(one[name]) for one in answers if one for name in ("accessToken", "refreshToken") if name in one
    ]
    assert issued
    assert "http.call" in said
    assert [secret for secret in (*issued, *APP.values()) if len(secret) > 5 and secret in said] == []
