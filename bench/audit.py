"""What the audit log costs: appending from several processes, and verifying a long log: `python -m bench.audit`.

    --leaves N      length of the log that is verified (default 100,000; the goal is for 1,000,000)
    --seconds S     how long each round of appending lasts

Appending is measured in rounds that take turns, one process and then four, so that a busy machine slows both; the
medians are compared. All processes of a round begin and end at the same moments. Verifying is compared with a plain
loop of SHA-256 over the same entries in the same run.
"""

import argparse
import asyncio
import hashlib
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from shared.audit import Entry, append
from shared.kernel import Kernel, open_kernel
from shared.keys import load_keys
from shared.settings import Settings, load_settings
from shared.sqlite import sqlite
from shared.transcript import transcript

ROUNDS = 3
PROCESSES = 4
START_SECONDS = 0.3  # until which all of them are awake
AT_ONCE = 5_000
ROOT = Path(__file__).parent.parent


def settings(home: Path) -> Settings:
    """The shipped configuration on a home of its own."""
    return load_settings(ROOT / "config", {"SWARM_HOME": str(home)})


# ── appending ────────────────────────────────────────────────────────────────────────────────────────────
async def append_for(home: Path, seconds: float) -> dict[str, float]:
    """What one process gets done: entries, each awaited until it is on disk, and the longest wait for one."""
    longest, count = 0.0, 0
    async with open_kernel(settings(home)) as kernel:
        print("ready", flush=True)
        begin = float(sys.stdin.readline())  # one moment for all of them, on the machine's own clock
        await asyncio.sleep(max(0.0, begin - time.monotonic()))
        while (started := time.monotonic()) < begin + seconds:
            await kernel.audit.record(Entry("bench", "somebody@corp.example", {"n": count}))
            longest = max(longest, time.monotonic() - started)
            count += 1
    return {"count": count, "longest": longest}


def round_of(home: Path, processes: int, seconds: float) -> list[dict[str, float]]:
    """So many processes at the same time."""
    command = [sys.executable, "-m", "bench.audit", "--append", str(home), "--seconds", str(seconds)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
    started = [subprocess.Popen(command, **pipes) for _ in range(processes)]
    for one in started:
        one.stdout.readline()
    begin = time.monotonic() + START_SECONDS
    for one in started:
        one.stdin.write(f"{begin}\n")
        one.stdin.flush()
    return [json.loads(one.communicate()[0]) for one in started]


def appending(folder: Path, seconds: float) -> None:
    """One process against several."""
    home = folder / "append"
    ones, manies, fair, longest = [], [], [], 0.0
    for _ in range(ROUNDS):
        ones.append(round_of(home, 1, seconds)[0]["count"] / seconds)
        many = round_of(home, PROCESSES, seconds)
        counts = [one["count"] for one in many]
        manies.append(sum(counts) / seconds)
        fair.append(min(counts) / max(counts))
        longest = max(longest, *(one["longest"] for one in many))
    one, several = statistics.median(ones), statistics.median(manies)
    print(f"append: one process {one:,.0f} a second, {PROCESSES} processes {several:,.0f}")
    print(f"  {PROCESSES} ÷ 1: {several / one:.2f} (goal ≥ 0.9)")
    print(
        f"  fairness, fewest ÷ most: median {statistics.median(fair):.2f}, worst {min(fair):.2f} (goal ≥ 0.5)"
    )
    print(f"  longest wait: {longest:.3f} s (goal ≤ 0.5)")


# ── verifying ────────────────────────────────────────────────────────────────────────────────────────────
async def fill(kernel: Kernel, leaves: int) -> None:
    """A long log, with a checkpoint every 5,000."""
    fixed = {"key": "ab" * 32, "vendor": "instantly", "action": "add_lead", "fingerprint": "cd" * 32}
    for start in range(0, leaves, AT_ONCE):
        numbers = range(start, min(leaves, start + AT_ONCE))
        entries = [Entry("effect.claimed", f"p{n}@corp.example", {**fixed, "n": n}) for n in numbers]
        await kernel.store.write(lambda c, e=entries: append(c, e, kernel.clock.now()))
        await kernel.audit.checkpoint("bench")


def plain_loop(database: Path) -> float:
    """CPU seconds for SHA-256 over every entry's bytes, which are in memory already."""
    with closing(sqlite.connect(database)) as db:
        rows = [row[0].encode() for row in db.execute("SELECT data FROM audit_leaf")]
    began = time.process_time()
    for row in rows:
        hashlib.sha256(row).digest()
    return time.process_time() - began


def by_script(log: Path, home: Path) -> float:
    """CPU seconds of the independent verifier."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    key, held = home / "keys" / "audit.pub", home / "checkpoints.jsonl"
    command = [sys.executable, "-I", ROOT / "tools" / "verify_audit.py", log, "--key", key, "--held", held]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


async def verifying(folder: Path, leaves: int) -> None:
    """Ours and the independent one."""
    home = folder / "verify"
    async with open_kernel(settings(home)) as kernel:
        began = time.perf_counter()
        await fill(kernel, leaves)
        print(
            f"verify: {leaves:,} entries, made in {time.perf_counter() - began:.1f} s; goal < 60 s a million"
        )
        floor = plain_loop(kernel.store.path)
        began, wall = time.process_time(), time.perf_counter()
        verdict = await kernel.audit.verify()
        took, wall = time.process_time() - began, time.perf_counter() - wall
        assert verdict.ok, verdict
        assert verdict.size == leaves
        began = time.perf_counter()
        copy = folder / "log.jsonl"
        with copy.open("w", encoding="utf-8") as out:
            async for lines in transcript(kernel.store, load_keys(home)):
                out.writelines(lines)
        written = time.perf_counter() - began
    times = {
        "swarm audit verify": took,
        "tools/verify_audit.py, database": by_script(home / "swarm.db", home),
        "tools/verify_audit.py, export": by_script(copy, home),
    }
    print(f"  a plain loop of SHA-256 over the same bytes: {floor:.2f} s")
    for name, seconds in times.items():
        million, ratio = seconds / leaves * 1_000_000, seconds / floor
        print(f"  {name:33}{seconds:7.2f} s of one core, {million:5.1f} s a million, {ratio:.0f} × the loop")
    print(f"  by the clock, verify took {wall:.1f} s, and writing the export {written:.1f} s")


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--leaves", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--append", type=Path, metavar="HOME", help=argparse.SUPPRESS)
    given, _ = parser.parse_known_args()
    if given.append:
        print(json.dumps(asyncio.run(append_for(given.append, given.seconds))))
        return
    with tempfile.TemporaryDirectory() as folder:
        appending(Path(folder), given.seconds)
        asyncio.run(verifying(Path(folder), given.leaves))


if __name__ == "__main__":
    main()
