"""Opt-outs while the database is away: taken, durable, and on the list before anything is sent."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

import anyio
import anyio.lowlevel
import httpx
import pytest
import sqlalchemy as sa

from orchestrator import inbox, serving, stops
from orchestrator.accounts import Accounts
from orchestrator.rules import load_rules
from orchestrator.worker import Worker
from shared.errors import Invalid
from shared.kernel import Kernel, open_kernel
from shared.pipeline_schema import campaign_lead, owed
from shared.schema import inbound
from shared.settings import Settings
from shared.spool import MOST_BYTES, Kept, Spool
from shared.sqlite import sqlite
from shared.store import Unavailable
from tests.conftest import CONFIG
from tests.orchestrator.world import alone
from tests.shared.world import Vendor, contact, kinds
from tests.waiting import put_campaign, somebody

ROOT = Path(__file__).parent.parent.parent
SECRET = {"x-swarm-secret": "sandbox-instantly-secret"}
Make = Callable[..., Settings]


@pytest.fixture
def settings(settings_for: Make) -> Settings:
    return settings_for(SAFE_MODE="false")


@pytest.fixture
async def kernel(settings: Settings) -> AsyncIterator[Kernel]:
    async with open_kernel(settings, patience=0.1) as made:
        yield made


@contextmanager
def away(kernel: Kernel) -> Iterator[None]:
    """Somebody holds the database."""
    assert kernel.store.path is not None
    other = sqlite.connect(kernel.store.path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.rollback()
        other.close()


def webhook(who: str, what: str = "lead_unsubscribed", **more: object) -> bytes:
    said = {"event_type": what, "lead_email": who, "timestamp": "2026-03-02T09:00:00Z"}
    return json.dumps({**said, **more}).encode()


async def receive(kernel: Kernel, raw: bytes) -> int:
    return await inbox.receive(alone(kernel), "instantly", SECRET, raw)


def kept(*targets: str, **more: object) -> Kept:
    return Kept(targets, "opt_out", "test", **more)  # type: ignore[arg-type]  # the fields are named


async def take_in(kernel: Kernel) -> int:
    return await kernel.spool.take_in(kernel.store, kernel.suppression, kernel.clock)


@pytest.mark.requirement("U13")
async def test_what_waited_is_owed_to_the_vendors_but_for_webhooks_which_are_handled(kernel: Kernel) -> None:
    with away(kernel):
        await receive(kernel, webhook("by.webhook@corp.example"))
        for target in ("jane@corp.example", "other.example"):
            await stops.suppress(kernel, target, reason="asked", source="page")
    await take_in(kernel)
    found = await kernel.store.read(lambda c: [(row.port, row.target) for row in c.execute(sa.select(owed))])
    assert sorted(found) == [
        ("crm", "jane@corp.example"),
        ("sequencer", "jane@corp.example"),
        ("sequencer", "other.example"),
    ]


# ── taken, and before anything is sent ───────────────────────────────────────────────────────────────────
@pytest.mark.requirement("F24", "I3", "I4")
async def test_whoever_opts_out_while_the_database_is_away_is_not_written_to_when_it_is_back(
    kernel: Kernel,
) -> None:
    with away(kernel):
        assert await receive(kernel, webhook("Jane+x@Corp.example")) == 200
        assert await stops.suppress(
            kernel, "other.example", reason="asked", source="page", actor="ann@corp.com"
        )
        with pytest.raises(Invalid):
            await stops.suppress(kernel, "gmail.com", reason="asked", source="page")
    vendor = Vendor()
    refused = [
        (await kernel.gate.submit(contact(email), vendor)).reason
        for email in ("jane@corp.example", "joe@other.example")
    ]
    assert (refused, vendor.performed) == (["suppressed"] * 2, [])
    assert not kernel.spool.path.exists()
    assert (await kernel.gate.submit(contact("ann@elsewhere.example"), vendor)).status == "applied"
    assert (await kinds(kernel)).count("suppression.added") == 2
    rows = await kernel.store.read(lambda c: c.execute(sa.select(inbound.c.vendor, inbound.c.state)).all())
    assert [tuple(row) for row in rows] == [("instantly", "new")], "understood later, as any other"
    assert await inbox.drain(alone(kernel)) == 1


@pytest.mark.requirement("F24", "G8")
async def test_what_waits_and_can_not_be_taken_in_keeps_everything_from_being_sent(kernel: Kernel) -> None:
    with away(kernel):
        assert await receive(kernel, webhook("jane@corp.example")) == 200
        outcome = await kernel.gate.submit(contact("ann@corp.example"), vendor := Vendor())
        assert (outcome.reason, vendor.performed) == ("log_unavailable", [])
    kernel.spool.path.rename(kernel.spool.home / "aside")
    kernel.spool.path.mkdir()  # something is there, and can't be read
    (kernel.spool.path / "x").touch()
    outcome = await kernel.gate.submit(contact("ann@corp.example"), vendor)
    assert (outcome.reason, vendor.performed) == ("log_unavailable", [])


@pytest.mark.requirement("F24", "I3")
async def test_an_opt_out_that_comes_during_a_call_stops_what_of_it_comes_later(kernel: Kernel) -> None:
    effect = contact()
    assert await kernel.gate.objection(effect) == ""
    await kernel.spool.keep(kept("jane@corp.example"))
    assert await kernel.gate.objection(effect) == "suppressed"


@pytest.mark.requirement("F24")
@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (webhook("jane@corp.example", "email_opened"), 503),
        (webhook("", "lead_unsubscribed"), 503),
        (webhook("jane@corp.example", "reply_received", reply_text="Please remove me from your list."), 200),
        (webhook("jane@corp.example", "reply_received", reply_text="Tell me more, please."), 503),
        (b'{"event_type": 5}', 503),
    ],
)
async def test_only_what_stops_somebody_is_kept_and_the_rest_is_asked_to_come_again(
    kernel: Kernel, raw: bytes, status: int
) -> None:
    with away(kernel):
        assert await receive(kernel, raw) == status
        assert kernel.spool.waiting() == (status == 200)


@pytest.mark.requirement("F24", "W1")
async def test_what_is_forged_is_not_kept(kernel: Kernel) -> None:
    with away(kernel):
        forged = await inbox.receive(alone(kernel), "instantly", {}, webhook("jane@corp.example"))
        assert (forged, kernel.spool.waiting()) == (401, False)


@pytest.mark.requirement("F24", "L1")
async def test_without_its_audit_log_an_opt_out_is_kept(kernel: Kernel) -> None:
    await kernel.store.write(lambda c: c.exec_driver_sql("ALTER TABLE audit_leaf RENAME TO away").rowcount)
    assert await stops.suppress(kernel, "jane@corp.example", reason="asked", source="page")
    assert kernel.spool.waiting()
    await kernel.store.write(lambda c: c.exec_driver_sql("ALTER TABLE away RENAME TO audit_leaf").rowcount)
    assert (await kernel.gate.submit(contact(), Vendor())).reason == "suppressed"


# ── the file ─────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.requirement("I4", "U4")
async def test_taking_in_twice_changes_nothing_and_a_line_that_was_cut_off_costs_itself(
    kernel: Kernel,
) -> None:
    spool = kernel.spool
    await spool.keep(kept("jane@corp.example", vendor="instantly", event_id="e1", raw=b"{}"))
    await spool.keep(kept("joe@corp.example"))
    whole = spool.path.read_bytes()
    spool.path.write_bytes(whole + b'{"targets": ["ann@c')
    assert await take_in(kernel) == 2
    assert not spool.path.exists()
    spool.path.write_bytes(whole)  # as if it had died before the file was away
    assert await take_in(kernel) == 2
    assert (await kinds(kernel)).count("suppression.added") == 2
    assert len(await kernel.store.read(lambda c: c.execute(sa.select(inbound.c.id)).all())) == 1
    assert await kernel.suppression.find("joe@corp.example")
    assert await take_in(kernel) == 0


async def test_a_target_that_nobody_can_read_keeps_nobody_else_waiting(kernel: Kernel) -> None:
    await kernel.spool.keep(kept("gmail.com", "not an address", "jane@corp.example"))
    assert await take_in(kernel) == 1
    assert await kernel.suppression.find("jane@corp.example")


async def test_it_is_for_its_owner_only_and_goes_when_it_was_taken_in(kernel: Kernel) -> None:
    await kernel.spool.keep(kept("jane@corp.example"))
    assert kernel.spool.path.stat().st_mode & 0o077 == 0
    assert kernel.spool.since() > 0
    await take_in(kernel)
    assert (kernel.spool.waiting(), kernel.spool.since()) == (False, 0.0)


async def test_what_does_not_fit_any_more_is_not_taken(kernel: Kernel) -> None:
    await kernel.spool.keep(kept("jane@corp.example"))
    os.truncate(kernel.spool.path, MOST_BYTES)
    with pytest.raises(Unavailable):
        await kernel.spool.keep(kept("joe@corp.example"))


@pytest.mark.requirement("F24", "F9")
async def test_processes_that_keep_and_take_in_at_the_same_time_lose_nobody(settings: Settings) -> None:
    async with open_kernel(settings) as one, open_kernel(settings) as two:
        people = [f"p{n}@corp.example" for n in range(60)]

        async def keep_all(kernel: Kernel, own: list[str]) -> None:
            for email in own:
                await kernel.spool.keep(kept(email))

        async def take_all(kernel: Kernel) -> None:
            for _ in range(20):
                await take_in(kernel)

        await asyncio.gather(
            keep_all(one, people[:30]), keep_all(two, people[30:]), take_all(one), take_all(two)
        )
        await take_in(one)
        assert len(await one.suppression.refused(people)) == 60


@pytest.mark.requirement("F24", "F10")
async def test_what_was_kept_survives_the_death_of_its_process(settings: Settings) -> None:
    async with open_kernel(settings):
        pass
    program = (
        "import anyio, os, signal, sys\n"
        "from pathlib import Path\n"
        "from shared.spool import Kept, Spool\n"
        "anyio.run(Spool(Path(sys.argv[1])).keep, Kept(('jane@corp.example',), 'opt_out', 'test'))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    died = await anyio.run_process([sys.executable, "-c", program, str(settings.home)], check=False, cwd=ROOT)
    assert died.returncode == -signal.SIGKILL
    async with open_kernel(settings) as kernel:
        assert (await kernel.gate.submit(contact(), Vendor())).reason == "suppressed"


@pytest.mark.requirement("F24", "F15")
async def test_the_worker_takes_it_in_and_takes_people_out_of_campaigns(kernel: Kernel) -> None:
    await put_campaign(kernel, load_rules(CONFIG), [somebody(1)])
    await kernel.spool.keep(kept("PERSON1@corp1.com"))
    await Worker(alone(kernel), None)._take_in()  # type: ignore[arg-type]  # no engine is needed for this part
    states = await kernel.store.read(lambda c: list(c.execute(sa.select(campaign_lead.c.state)).scalars()))
    assert states == ["stopped"]


# ── the Gatekeeper while it can't open ───────────────────────────────────────────────────────────────────
@asynccontextmanager
async def closed(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        serving.closed(settings, "the keys are gone") as address,
        httpx.AsyncClient(base_url=address) as http,
    ):
        yield http


@pytest.mark.requirement("F24", "I4", "W1", "W4", "X1")
async def test_a_gatekeeper_that_can_not_open_takes_opt_outs_and_nothing_else(settings: Settings) -> None:
    async with open_kernel(settings):
        pass
    shutil.move(settings.home / "keys", settings.home / "keys-gone")
    async with closed(settings) as http:
        raw = webhook("jane@corp.example")
        answers = [
            await http.post("/webhooks/instantly", content=raw, headers=SECRET),
            await http.post("/webhooks/instantly", content=raw),
            await http.post("/webhooks/nobody", content=raw, headers=SECRET),
            await http.post("/webhooks/instantly", content=b"[]", headers=SECRET),
            await http.post("/webhooks/instantly", content=b"x" * 500_000, headers=SECRET),
            await http.post(
                "/webhooks/instantly", content=webhook("a@b.com", "email_opened"), headers=SECRET
            ),
            await http.get("/"),
            await http.post("/safety/release"),
            await http.get("/readyz"),
            await http.get("/healthz"),
            await http.get("/", headers={"host": "evil.example"}),
        ]
    assert [one.status_code for one in answers] == [200, 401, 404, 400, 413, 503, 503, 503, 503, 200, 421]
    assert "the keys are gone" in answers[6].text
    assert answers[6].headers["retry-after"]
    assert answers[9].json()["kill_switch"] is True
    shutil.rmtree(settings.home / "keys", ignore_errors=True)
    shutil.move(settings.home / "keys-gone", settings.home / "keys")
    async with open_kernel(settings) as kernel:
        assert (await kernel.gate.submit(contact(), Vendor())).reason == "suppressed"


async def test_it_starts_again_once_there_is_an_admin(
    settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    async with open_kernel(settings) as kernel:
        await Accounts(kernel).create("boss@corp.com", "Boss", "admin", "correct horse battery", by="test")
    with anyio.move_on_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(serving.gatekeeper, settings, "127.0.0.1", 0, with_worker=False))
            said = ""
            while "Gatekeeper at" not in said:
                await anyio.lowlevel.checkpoint()
                said += capfd.readouterr().err
            async with httpx.AsyncClient(
                base_url=said.split("Gatekeeper at ")[1].split()[0], trust_env=False
            ) as http:
                assert (await http.get("/healthz")).status_code == 200
            tasks.cancel_scope.cancel()
        assert "First admin" not in said
        return
    pytest.fail("it never listened")


@pytest.mark.requirement("F24")
async def test_it_opens_by_itself_once_it_can(settings: Settings) -> None:
    async with open_kernel(settings) as kernel:
        with away(kernel), anyio.move_on_after(1.5) as still:
            await serving.opens(settings, every=0.2)
        assert still.cancelled_caught
    with anyio.fail_after(30):
        await serving.opens(settings, every=0.2)


@pytest.mark.requirement("F24", "I4")
def test_the_command_keeps_an_opt_out_while_nothing_opens(settings: Settings) -> None:
    env = {"PATH": os.environ["PATH"], "SWARM_HOME": str(settings.home), "SWARM_CONFIG": str(CONFIG)}

    def swarm(*args: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "orchestrator.cli", *args]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=env)

    assert swarm("suppress", "first@corp.com").returncode == 0
    pepper = settings.home / "keys" / "pepper"
    pepper.rename(settings.home / "pepper")
    kept_ = swarm("suppress", "jane@corp.com")
    assert (kept_.returncode, "waits" in kept_.stdout) == (0, True), kept_.stderr
    assert swarm("suppress", "nonsense").returncode == 2
    assert Spool(settings.home).waiting()
    pepper.unlink(missing_ok=True)
    (settings.home / "pepper").rename(pepper)
    assert swarm("suppress", "joe@corp.com").returncode == 0
    shown = swarm("status", "--json")
    assert shown.returncode == 0
