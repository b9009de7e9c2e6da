"""How much of a vendor's rate four processes use, and that no window ever holds more: `python -m bench.limits`.

A vendor on loopback notes when each request left and arrived, and checks every window of its length afterwards. Four
processes with one database saturate the shipped GoHighLevel limit (100 calls in 10 s) for half a minute, twice:

    ordinary   nothing kept for stops; goal: at least 0.97 of the allowed rate
    mixed      the shipped file, with some for stops; each process stops somebody now and then while its queue is full;
               goal: the same; they are more than what is kept, and wait for the next window at most

Utilisation is counted from the first call over whole windows. The floor is what a single caller that never pauses could
use with the same margin. Fairness: the smallest share of a process by the largest. On a machine with more to do than it
has processors, requests arrive late by more than the margin, and windows of arrivals overflow that those of departures
don't: that is not the limiter's doing, but the vendor counts arrivals.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import structlog

from shared.effect import Effect, Receipt
from shared.errors import SwarmError
from shared.gate import Permit
from shared.kernel import Kernel, open_kernel
from shared.settings import Settings, load_settings

PROCESSES = 4
CALLERS = 40  # in each process, so that the queue is always full
WINDOWS = 3
STOP_EVERY = 1.5  # seconds, in each process
GOAL = 0.97
LEFT = b"x-left"
EARLY = 0.15  # seconds
MARGIN = 0.3  # as shipped
ANSWER = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 12\r\n\r\n{"id": "x1"}'


@dataclass(frozen=True)
class Seen:
    """One request as the vendor saw it."""

    at: float
    left: float  # on the same clock, as the process that sent it says
    process: str
    stop: bool


class Vendor:
    """Answers everything, and notes when."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.seen.append(self._read(head))
                length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                if length:
                    await reader.readexactly(int(length[0].split(b":")[1]))
                writer.write(ANSWER)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    @staticmethod
    def _read(head: bytes) -> Seen:
        at = time.monotonic()
        _, process, kind, _ = head.split(b" ")[1].decode().split("/", 3)
        left = next(line for line in head.split(b"\r\n") if line.lower().startswith(LEFT + b":"))
        return Seen(at, float(left.split(b":")[1]), process, kind == "stop")


class Departures(httpx.AsyncHTTPTransport):
    """Writes on each request when it left."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it."""
        request.headers[LEFT.decode()] = repr(time.monotonic())
        return await super().handle_async_request(request)


def settings(home: Path, url: str, *, kept: int | None) -> Settings:
    """The shipped files; `kept`: for stops, if not as shipped. The daily limit stays."""
    found = load_settings(
        Path("config"), {"SWARM_HOME": str(home), "SAFE_MODE": "false", "GHL_BASE_URL": url}
    )
    account = found.vendors["ghl"]
    limits = tuple(
        limit.model_copy(update={} if kept is None else {"for_stops": kept}) for limit in account.file.limits
    )
    file = account.file.model_copy(update={"limits": limits})
    return replace(found, vendors={**found.vendors, "ghl": replace(account, file=file)})


# ── one process ──────────────────────────────────────────────────────────────────────────────────────────
@dataclass
class Process:
    """One of the four: reads as fast as the limit lets it, and stops somebody now and then."""

    number: int
    kernel: Kernel
    until: float
    waits: list[float]  # seconds that stops took

    async def ordinary(self, caller: int) -> None:
        """One of those who queue."""
        client = self.kernel.client("ghl")
        while (left := self.until - time.monotonic()) > 0:
            try:
                async with asyncio.timeout(left):
                    await client.read("GET", f"/{self.number}/read/{caller}")
            except (TimeoutError, SwarmError):
                return

    async def stop(self, one: int) -> None:
        """A stop that passes the gate."""

        async def perform(permit: Permit) -> Receipt:
            path = f"/{self.number}/stop/{one}"
            await self.kernel.client("ghl").write(permit, "POST", path, json={})
            return Receipt("r")

        email = f"p{self.number}-{one}@corp.example"
        effect = Effect("ghl", "set_dnc", email, f"dnc:{email}", {}, repeatable=True, stops=True)
        began = time.monotonic()
        if (await self.kernel.gate.submit(effect, perform)).done:
            self.waits.append(time.monotonic() - began)

    async def stops(self) -> None:
        """One after the other."""
        one = 0
        while time.monotonic() + 2 * STOP_EVERY < self.until:
            await asyncio.sleep(STOP_EVERY)
            one += 1
            await self.stop(one)


async def call(number: int, home: Path, url: str, kept: int | None, seconds: float) -> None:
    """One process from start to end. Prints how long its stops took."""
    async with open_kernel(settings(home, url, kept=kept), transport=Departures()) as kernel:
        process = Process(number, kernel, time.monotonic() + seconds, [])
        stops = [process.stops()] if kept is None else []
        await asyncio.gather(*stops, *(process.ordinary(caller) for caller in range(CALLERS)))
    print(json.dumps(process.waits))


# ── all of them ──────────────────────────────────────────────────────────────────────────────────────────
async def run(kept: int | None) -> tuple[list[Seen], list[float]]:
    """Everything that the vendor saw, and how long stops took."""
    vendor = Vendor()
    limit = load_settings(Path("config"), {}).vendors["ghl"].file.limits[0]
    seconds = WINDOWS * (limit.seconds + MARGIN) + 4.0  # and the start
    server = await asyncio.start_server(vendor, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    with tempfile.TemporaryDirectory() as folder:
        async with open_kernel(settings(Path(folder), url, kept=kept)):
            pass  # made before they all want to
        arguments = [folder, url, "shipped" if kept is None else str(kept), str(seconds)]
        children = [
            await asyncio.create_subprocess_exec(
                sys.executable, "-m", "bench.limits", "--child", str(n), *arguments, stdout=subprocess.PIPE
            )
            for n in range(PROCESSES)
        ]
        printed = [out for out, _ in await asyncio.gather(*(child.communicate() for child in children))]
    server.close()
    return vendor.seen, [wait for out in printed for wait in json.loads(out)]


def violations(moments: Sequence[float], calls: int, seconds: float) -> int:
    """Windows of the vendor's length that hold more calls than allowed."""
    return sum(later - at < seconds for at, later in zip(moments, moments[calls:], strict=False))


def report(name: str, seen: Sequence[Seen], waits: Sequence[float]) -> bool:
    """Print the numbers; whether they are as good as they have to be."""
    limit = load_settings(Path("config"), {}).vendors["ghl"].file.limits[0]
    moments = sorted(one.at for one in seen)
    span = WINDOWS * (limit.seconds + MARGIN)
    # The next window's calls come right at its end: they are none of these.
    counted = [one for one in seen if one.at < moments[0] + span - EARLY]
    used = len(counted) / (limit.calls * span / limit.seconds)
    shares = [sum(one.process == str(n) for one in counted) for n in range(PROCESSES)]
    wrong = violations(moments, limit.calls, limit.seconds)
    sent_wrong = violations(sorted(one.left for one in seen), limit.calls, limit.seconds)
    late = max(one.at - one.left for one in seen)
    floor = limit.seconds / (limit.seconds + MARGIN)
    print(f"{name}: {len(counted)} calls in {span:.1f} s, {limit.calls} allowed in {limit.seconds:g} s")
    print(
        f"  utilisation {used:.3f} of the allowed rate (goal {GOAL}), {used / floor:.3f} of the floor {floor:.3f}"
    )
    print(
        f"  violations {wrong} of arrivals, {sent_wrong} of departures; {late:.3f} s between the two at most"
    )
    print(f"  per process {shares}, fairness {min(shares) / max(shares):.2f}")
    if waits:
        stops = sum(one.stop for one in counted)
        print(
            f"  {stops} stops among them, {statistics.median(waits):.3f} s in the middle, {max(waits):.3f} s at most"
        )
    return used >= GOAL and wrong == 0


def main() -> int:
    """Both runs; status 1 where a goal is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--child", nargs=5, metavar=("NUMBER", "HOME", "URL", "KEPT", "SECONDS"))
    child = parser.parse_args().child
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    if child:
        number, home, url, kept, seconds = child
        asyncio.run(
            call(int(number), Path(home), url, None if kept == "shipped" else int(kept), float(seconds))
        )
        return 0
    results = [report("ordinary", *asyncio.run(run(0))), report("mixed", *asyncio.run(run(None)))]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
