"""The witness: whoever owns the log's database, and even its key, can't make it forget or sign another history."""

import asyncio
import base64
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import settings as set_up
from hypothesis import strategies as st

from orchestrator.witness import WitnessFolder, create_witness, lock, trusted
from shared import publishing
from shared.audit import Entry
from shared.checkpoint import cosigned_at, note, origin_of, parse_note
from shared.checkpoint_rules import WitnessAt
from shared.errors import ConfigError, Fatal
from shared.kernel import Kernel, open_kernel
from shared.keys import load_keys
from shared.merkle import Edge, consistency_proof, leaf_hash
from shared.settings import Settings
from shared.witnesses import Forked
from tests.shared.test_audit_tampering import cut, fill, verify_alone
from tests.shared.world import HandClock, stricter

ROOT = Path(__file__).parent.parent.parent
Make = Callable[..., Settings]
NAME = "witness.example/one"
KEY, OTHER = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2))
PUBLIC = KEY.public_key().public_bytes_raw()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def folder(tmp_path: Path, clock: HandClock) -> WitnessFolder:
    return WitnessFolder(tmp_path / "witness", NAME, clock)


def watched(settings: Settings, folder: WitnessFolder) -> Settings:
    """The same settings with that witness, and no other place outside."""
    folder.trust(load_keys(settings.home).audit_public)
    at = WitnessAt(name=NAME, url="http://127.0.0.1:9", public_key=folder.public.hex())
    due = settings.safety.checkpoints.model_copy(update={"witnesses": (at,)})
    return stricter(settings, checkpoints=due)


@asynccontextmanager
async def opened(settings: Settings, folder: WitnessFolder, clock: HandClock) -> AsyncIterator[Kernel]:
    transport = httpx.ASGITransport(create_witness(folder))
    async with open_kernel(settings, clock=clock, transport=transport) as kernel:
        yield kernel


@pytest.fixture
def settings(settings_for: Make, folder: WitnessFolder) -> Settings:
    return watched(settings_for(SAFE_MODE="false"), folder)


@pytest.fixture
async def kernel(settings: Settings, folder: WitnessFolder, clock: HandClock) -> AsyncIterator[Kernel]:
    async with opened(settings, folder, clock) as made:
        yield made


async def publish(kernel: Kernel) -> None:
    await publishing.work(kernel, {})


def keyhash(public: bytes) -> str:
    return hashlib.sha256(public).hexdigest()


# ── the log and its witness ──────────────────────────────────────────────────────────────────────────────
async def test_what_was_witnessed_can_not_be_cut_off_unnoticed(kernel: Kernel, folder: WitnessFolder) -> None:
    for count in (3, 200, 1, 57):
        await fill(kernel, count)
        await kernel.audit.checkpoint("size")
        assert (await kernel.audit.head()).window > 0
        await publish(kernel)
        head = await kernel.audit.head()
        assert (head.window, head.exposed) == (0, 0)
        held = parse_note(folder.newest(keyhash(kernel.keys.audit_public)))
        assert (held.size, held.root.hex()) == (head.size, head.root)
        assert cosigned_at(held, NAME, folder.public) == int(kernel.clock.now().timestamp())
    place = next(place for place in await kernel.audit.places() if place.name == NAME)
    assert (place.outside, place.size, place.problem) == (True, 261, "")
    assert (await kernel.audit.verify()).ok


@pytest.mark.parametrize("why", ["start", "stop", "kill", "approval", "by hand"])
async def test_what_matters_is_witnessed_before_anything_goes_on(
    kernel: Kernel, folder: WitnessFolder, why: str
) -> None:
    await fill(kernel, 5)
    assert (await kernel.audit.checkpoint(why)).window == 0
    assert parse_note(folder.newest(keyhash(kernel.keys.audit_public))).size == 5


async def test_a_process_that_ends_leaves_nothing_unwitnessed(
    settings: Settings, folder: WitnessFolder, clock: HandClock
) -> None:
    async with opened(settings, folder, clock) as kernel:
        await fill(kernel, 7)
        public = kernel.keys.audit_public
    assert parse_note(folder.newest(keyhash(public))).size == 7


@pytest.mark.parametrize("more", [0, 900, 1_000, 1_100])
async def test_a_thousand_entries_cut_off_and_signed_with_the_stolen_key_are_found_and_everything_stops(
    kernel: Kernel, clock: HandClock, more: int
) -> None:
    """The thief owns database, files and key: the witness alone tells."""
    await fill(kernel, 1_200)
    await kernel.audit.checkpoint("by hand")
    await cut(kernel, 200, more)
    kernel.audit._covered = 0  # a process of the thief's own
    kernel.audit._files.beside.unlink()
    await kernel.audit.checkpoint("size")
    clock.move(61)
    with pytest.raises(Forked):
        await publish(kernel)
    assert (await kernel.switches.now()).killed
    assert any(NAME in problem for problem in (await kernel.audit.verify()).problems)
    with pytest.raises(Fatal, match="older than what was done"):
        await kernel.audit.refuse_if_rolled_back()


async def test_yesterdays_copy_does_not_start_though_only_the_witness_remembers(
    settings: Settings, folder: WitnessFolder, clock: HandClock, tmp_path: Path
) -> None:
    async with opened(settings, folder, clock) as kernel:
        await fill(kernel)
        await kernel.audit.checkpoint("stop")
    shutil.copy(settings.home / "swarm.db", tmp_path / "yesterday.db")
    async with opened(settings, folder, clock) as kernel:
        await fill(kernel)
        await kernel.audit.checkpoint("stop")
    for file in (*settings.home.glob("swarm.db*"), settings.home / "checkpoints.jsonl"):
        file.unlink()
    shutil.copy(tmp_path / "yesterday.db", settings.home / "swarm.db")
    with pytest.raises(Fatal, match="older than what was done"):
        async with opened(settings, folder, clock):
            raise AssertionError


async def test_of_two_copies_that_went_on_differently_one_is_witnessed_and_the_other_stops(
    settings: Settings, folder: WitnessFolder, clock: HandClock, tmp_path: Path
) -> None:
    async with opened(settings, folder, clock) as kernel:
        await fill(kernel)
    twin = replace(
        settings, home=tmp_path / "twin", database_url=f"sqlite:///{tmp_path / 'twin' / 'swarm.db'}"
    )
    shutil.copytree(settings.home, twin.home)
    async with opened(settings, folder, clock) as one, opened(twin, folder, clock) as two:
        await fill(one, 10, "one")
        await fill(two, 30, "two")
        await one.audit.checkpoint("by hand")
        with pytest.raises(Forked):
            await two.audit.checkpoint("by hand")
        clock.move(60)
        with pytest.raises(Forked):
            await publish(two)
        assert (await two.switches.now()).killed
        assert not (await one.switches.now()).killed


async def test_a_witness_that_can_not_be_reached_stops_nothing_and_is_shown(
    settings: Settings, clock: HandClock
) -> None:
    def broken(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("gone")

    async with open_kernel(settings, clock=clock, transport=httpx.MockTransport(broken)) as kernel:
        await fill(kernel, 5)
        head = await kernel.audit.checkpoint("kill")
        assert (head.exposed, head.window) == (0, 5)
        place = next(place for place in await kernel.audit.places() if place.name == NAME)
        assert (place.size, place.problem) == (0, "ConnectError")
        assert (await kernel.audit.verify()).ok


@pytest.mark.parametrize("status", [200, 409, 422, 500])
async def test_a_witness_that_answers_nonsense_is_believed_in_nothing(
    settings: Settings, clock: HandClock, status: int
) -> None:
    def lying(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status if request.method == "POST" else 404, text="7\n")

    async with open_kernel(settings, clock=clock, transport=httpx.MockTransport(lying)) as kernel:
        await fill(kernel, 5)
        assert (await kernel.audit.checkpoint("kill")).window == 5
        place = next(place for place in await kernel.audit.places() if place.name == NAME)
        assert place.problem
        assert not (await kernel.switches.now()).killed


async def test_an_answer_without_end_is_not_read(settings: Settings, clock: HandClock) -> None:
    def endless(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=b"x" * 1_000_000)

    async with open_kernel(settings, clock=clock, transport=httpx.MockTransport(endless)) as kernel:
        await fill(kernel, 5)
        await kernel.audit.checkpoint("kill")
        place = next(place for place in await kernel.audit.places() if place.name == NAME)
        assert place.problem == "too_large"


async def test_a_witness_that_was_away_gets_one_proof_over_all_it_missed(
    kernel: Kernel, folder: WitnessFolder, clock: HandClock
) -> None:
    await fill(kernel, 5)
    await kernel.audit.checkpoint("by hand")
    for _ in range(20):
        await fill(kernel, 13)
        await kernel.audit.checkpoint("size")
    await publish(kernel)
    assert parse_note(folder.newest(keyhash(kernel.keys.audit_public))).size == 265


async def test_a_log_that_does_not_know_what_its_witness_has_asks(kernel: Kernel) -> None:
    """The places were lost, or another process gave it something newer."""
    await fill(kernel, 50)
    await kernel.audit.checkpoint("by hand")
    await fill(kernel, 50)
    await kernel.store.write(lambda c: c.execute(sa.text("DELETE FROM audit_place")).rowcount)
    await kernel.store.write(
        lambda c: c.execute(sa.text("UPDATE audit_checkpoint SET frontier=NULL")).rowcount
    )
    assert (await kernel.audit.checkpoint("by hand")).window == 0


async def test_the_independent_verifier_reads_what_the_witness_signed(
    kernel: Kernel, folder: WitnessFolder, tmp_path: Path
) -> None:
    await fill(kernel, 30)
    await kernel.audit.checkpoint("by hand")
    held, public = tmp_path / "held.txt", kernel.keys.audit_public
    held.write_text(folder.newest(keyhash(public)), encoding="utf-8")
    given = ("--held", held, "--witness", f"{NAME}={folder.public.hex()}")
    checked = verify_alone(kernel.store.path, public.hex(), *given)
    assert checked.returncode == 0, checked
    assert f"witness {NAME} put its name under 30 entries" in checked.stdout
    assert "0 entries at the end could be cut off" in checked.stdout


# ── our own people ───────────────────────────────────────────────────────────────────────────────────────
async def test_our_people_get_the_newest_checkpoint_now_and_then(kernel: Kernel, clock: HandClock) -> None:
    told: list[str] = []

    async def slack(subject: str, text: str) -> None:
        told.append(text)

    for _ in range(10):
        await fill(kernel, 100)
        await kernel.audit.checkpoint("size")
        await publishing.work(kernel, {"slack": slack})
        clock.move(60)
    assert len(told) == 1
    clock.move(3_600)
    await publishing.work(kernel, {"slack": slack})
    assert len(told) == 2
    clock.move(7_200)
    await publishing.work(kernel, {"slack": slack})
    assert len(told) == 2, "nothing new"
    held = kernel.settings.home / "slack.txt"
    held.write_text(told[1], encoding="utf-8")
    assert verify_alone(kernel.store.path, kernel.keys.audit_public.hex(), "--held", held).returncode == 0
    await cut(kernel, 900)
    assert verify_alone(kernel.store.path, kernel.keys.audit_public.hex(), "--held", held).returncode == 1


async def test_a_channel_that_did_not_take_it_is_tried_again_soon_and_shown(
    kernel: Kernel, clock: HandClock
) -> None:
    tries = 0

    async def mail(subject: str, text: str) -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise OSError("no")

    await fill(kernel, 5)
    await kernel.audit.checkpoint("size")
    for seconds in (1, 301, 301, 301):
        await publishing.work(kernel, {"mail": mail})
        clock.move(seconds)
    assert tries == 3
    place = next(place for place in await kernel.audit.places() if place.name == "mail")
    assert (place.size, place.problem, place.outside) == (5, "", True)


# ── the witness by itself ────────────────────────────────────────────────────────────────────────────────
LEAVES = [leaf_hash(str(n).encode()) for n in range(64)]


def edge(size: int) -> Edge:
    made = Edge()
    for leaf in LEAVES[:size]:
        made.append(leaf)
    return made


def request(old: int, new: int, *, key: Ed25519PrivateKey = KEY, beginning: int = 1) -> str:
    """A right request."""
    proof = [base64.b64encode(one).decode() for one in consistency_proof(edge(old), LEAVES[old:new])]
    return "\n".join([f"old {old}", *proof, "", note(key, new, edge(new).root, beginning)])


@pytest.fixture
async def http(folder: WitnessFolder) -> AsyncIterator[httpx.AsyncClient]:
    folder.trust(PUBLIC)
    transport = httpx.ASGITransport(create_witness(folder))
    async with httpx.AsyncClient(transport=transport, base_url="http://witness") as client:
        yield client


async def add(http: httpx.AsyncClient, text: str) -> httpx.Response:
    return await http.post("/add-checkpoint", content=text.encode())


async def test_it_answers_as_the_protocol_says(http: httpx.AsyncClient, folder: WitnessFolder) -> None:
    statuses = [
        (404, request(0, 5, key=OTHER)),
        (404, request(0, 5, beginning=2)),
        (
            403,
            request(0, 5, key=OTHER).replace(
                origin_of(OTHER.public_key().public_bytes_raw()), origin_of(PUBLIC)
            ),
        ),
        (422, request(0, 5).replace("old 0\n", f"old 0\n{base64.b64encode(LEAVES[0]).decode()}\n")),
        (200, request(0, 5)),
        (200, request(5, 5)),
        (409, request(0, 9)),
        (409, request(4, 9)),
        (409, request(9, 9)),
        (400, request(5, 9).replace("old 5", "old 10")),
        (
            422,
            request(5, 9).replace(
                base64.b64encode(edge(4).root).decode(), base64.b64encode(LEAVES[9]).decode()
            ),
        ),
        (200, request(5, 9)),
        (200, request(9, 64)),
        (409, request(5, 9)),
    ]
    for status, text in statuses:
        answer = await add(http, text)
        assert answer.status_code == status, (text, answer.text)
        if status == 409:
            assert answer.headers["content-type"].startswith("text/x.tlog.size")
            assert re.fullmatch(r"[0-9]+\n", answer.text)
    newest = await http.get(f"/logs/{keyhash(PUBLIC)}")
    assert parse_note(newest.text).size == 64
    assert (await http.get(f"/logs/{keyhash(b'x' * 32)}")).status_code == 404


async def test_another_root_of_the_same_size_is_refused(http: httpx.AsyncClient) -> None:
    assert (await add(http, request(0, 5))).status_code == 200
    forged = "old 5\n\n" + note(KEY, 5, b"r" * 32)
    answer = await add(http, forged)
    assert (answer.status_code, answer.text) == (409, "5\n")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"old 5",
        b"old 05\n\nx",
        b"old -1\n\nx\n\ny",
        b"\xff\xfe",
        b"old 0\nAAAA\n\nx",
        b"old 0\n\nnothing\n",
    ],
)
async def test_what_is_no_request_is_refused(http: httpx.AsyncClient, body: bytes) -> None:
    assert (await http.post("/add-checkpoint", content=body)).status_code == 400


async def test_more_than_a_request_can_be_is_not_read(http: httpx.AsyncClient) -> None:
    assert (await http.post("/add-checkpoint", content=b"x" * 20_000)).status_code == 413


@set_up(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 64), st.integers(0, 64)), max_size=12))
async def test_whatever_is_asked_in_any_order_it_never_goes_back(
    tmp_path_factory: pytest.TempPathFactory, wanted: list[tuple[int, int]]
) -> None:
    """Requests at the same time: each is right by itself, and only one can be the next."""
    folder = WitnessFolder(tmp_path_factory.mktemp("w"), NAME, HandClock())
    folder.trust(PUBLIC)
    transport = httpx.ASGITransport(create_witness(folder))
    async with httpx.AsyncClient(transport=transport, base_url="http://witness") as client:
        seen = 0
        for start in range(0, len(wanted), 3):
            group = [request(min(pair), max(pair)) for pair in wanted[start : start + 3]]
            answers = await asyncio.gather(*(add(client, text) for text in group))
            text = folder.newest(keyhash(PUBLIC))
            now = parse_note(text).size if text else 0
            signed = [
                max(p)
                for p, a in zip(wanted[start : start + 3], answers, strict=False)
                if a.status_code == 200
            ]
            assert now >= seen
            assert all(size <= now for size in signed)
            seen = now


async def test_what_can_not_be_written_is_not_signed(http: httpx.AsyncClient, folder: WitnessFolder) -> None:
    assert (await add(http, request(0, 5))).status_code == 200
    seen = folder._folder / "seen"
    kept = {file.name: file.read_text() for file in seen.iterdir()}
    shutil.rmtree(seen)
    seen.write_text("in the way")
    answer = await add(http, request(5, 9))
    assert (answer.status_code, "—" in answer.text) == (500, False)
    seen.unlink()
    seen.mkdir()
    for name, text in kept.items():
        (seen / name).write_text(text)
    assert (await add(http, request(5, 9))).status_code == 200


async def test_what_it_knows_and_can_not_read_is_no_new_log(
    http: httpx.AsyncClient, folder: WitnessFolder
) -> None:
    assert (await add(http, request(0, 5))).status_code == 200
    next((folder._folder / "seen").iterdir()).write_text("broken")
    assert (await add(http, request(0, 9))).status_code == 500


async def test_a_log_that_began_anew_is_seen_only_once_its_operator_says_so(
    http: httpx.AsyncClient, folder: WitnessFolder
) -> None:
    assert (await add(http, request(0, 9))).status_code == 200
    assert (await add(http, request(0, 5, beginning=2))).status_code == 404
    (folder._folder / "logs").write_text(f"{PUBLIC.hex()} 2  # restored on 2 March, Ada\n")
    assert (await add(http, request(0, 5, beginning=2))).status_code == 200
    assert parse_note((await http.get(f"/logs/{keyhash(PUBLIC)}")).text).beginning == 2


def test_only_one_process_has_a_folder(tmp_path: Path) -> None:
    held = lock(tmp_path)
    with pytest.raises(ConfigError):
        lock(tmp_path)
    held.release()
    lock(tmp_path).release()


def test_a_line_that_names_no_log_is_told() -> None:
    with pytest.raises(ConfigError, match="logs:2"):
        trusted(f"{PUBLIC.hex()}\nnothing\n")
    assert len(trusted(f"# mine\n\n{PUBLIC.hex()} 3\n")) == 3


# ── as a process ─────────────────────────────────────────────────────────────────────────────────────────
def start(home: Path, http: str = "127.0.0.1:0") -> tuple["subprocess.Popen[str]", str, str]:
    """`swarm witness`; its address and key once it serves."""
    command = [sys.executable, "-m", "orchestrator.cli", "witness", "--home", str(home), "--http", http]
    env = {"PATH": os.environ["PATH"], "COLUMNS": "300", "NO_COLOR": "1"}
    child = subprocess.Popen(
        [*command, "--trust", PUBLIC.hex(), "--name", NAME],
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=env,
    )
    assert child.stderr is not None
    found = re.search(r"url: (\S+), public_key: (\w+)", child.stderr.readline())
    assert found is not None
    return child, found[1], found[2]


async def test_a_witness_that_is_killed_has_kept_what_it_signed(tmp_path: Path) -> None:
    child, url, key = start(tmp_path / "w")
    try:
        async with httpx.AsyncClient(base_url=url) as client:
            assert (await add(client, request(0, 5))).status_code == 200
            assert (await add(client, request(5, 9))).status_code == 200
    finally:
        child.send_signal(signal.SIGKILL)
        child.communicate()
    child, url, again = start(tmp_path / "w")
    try:
        async with httpx.AsyncClient(base_url=url) as client:
            assert again == key
            assert (await add(client, request(0, 5))).text == "9\n"
            assert (await add(client, request(9, 20))).status_code == 200
            assert (await client.post("/add-checkpoint", headers={"host": "evil.example"})).status_code == 421
    finally:
        child.terminate()
        child.communicate()
    assert child.returncode in {0, -signal.SIGTERM}


async def test_an_entry_is_a_kernel_matter(kernel: Kernel) -> None:
    """The log may be written to while a witness is asked."""
    await asyncio.gather(
        *(kernel.audit.record(Entry("test", "x", {"n": n})) for n in range(50)), publish(kernel)
    )
    await kernel.audit.checkpoint("by hand")
    assert (await kernel.audit.verify()).size == 50
