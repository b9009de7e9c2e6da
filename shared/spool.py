"""Opt-outs that came while the database couldn't take them: a file, durable before anybody is answered.

database can't be written ─ opt-out ─▶ a line, on the disk ─▶ taken ┄ database is back ┄▶ on the list ─▶ file gone
                                     └ no room: what was kept free for this is used; no room at all ─▶ not taken

Until the file is gone no effect begins: the list doesn't know yet what it holds. Any process takes it in, whoever
needs it first; a line may be taken in twice, and changes nothing then. It lies in SWARM_HOME, one for each machine, and
holds addresses in plain text, for its owner only and no longer than the database is away.
"""

import base64
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import sqlalchemy as sa
from filelock import FileLock, Timeout

from shared.clock import Clock, iso, parse
from shared.errors import Invalid, Retryable
from shared.owed import note_in
from shared.schema import inbound
from shared.store import Store, Unavailable
from shared.suppression import Suppression
from shared.telemetry import logger

log = logger("spool")
RESERVE_BYTES = 262_144  # kept free for the day the disk is full
MOST_BYTES = 64_000_000
AT_ONCE = 200  # lines in one transaction
PATIENCE = 5.0  # seconds for another process that has the file


class OptOutsWait(Retryable):
    """Somebody opted out whom the list doesn't know yet."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One opt-out, or what a vendor told. `targets` go on the list; `raw` is a webhook that is understood later."""

    targets: tuple[str, ...]
    reason: str
    source: str
    actor: str = "system"
    vendor: str = ""
    event_id: str = ""
    raw: bytes = b""
    correlation_id: str = ""
    at: str = ""

    @property
    def line(self) -> bytes:
        """As it is written."""
        values = {**asdict(self), "raw": base64.b64encode(self.raw).decode()}
        return json.dumps(values).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class Spool:
    """The file of one machine. Made by the kernel, and by whoever can't open one."""

    home: Path

    @property
    def path(self) -> Path:
        """Where it lies."""
        return self.home / "spool.jsonl"

    @property
    def _reserve(self) -> Path:
        return self.home / "spool.reserve"

    def waiting(self) -> bool:
        """Whether something is in it; where that can't be told, something is."""
        try:
            return self.path.stat().st_size > 0
        except FileNotFoundError:
            return False
        except OSError:
            return True

    def since(self) -> float:
        """When something was kept last, in seconds since 1970; 0 where nothing waits."""
        try:
            return self.path.stat().st_mtime if self.waiting() else 0.0
        except OSError:
            return 0.0

    async def holds(self, event_id: str) -> bool:
        """Whether an event waits in it already, by an id that nobody makes up; no, where that can't be told."""
        try:
            return await anyio.to_thread.run_sync(self._holds, event_id.encode())
        except (OSError, Timeout):
            return False

    def _holds(self, event_id: bytes) -> bool:
        with self._alone():
            return self.path.exists() and b'"%s"' % event_id in self.path.read_bytes()

    # ── keeping ──────────────────────────────────────────────────────────────────────────────────────────
    async def keep(self, one: Kept) -> None:
        """Write it down, durably. Raises `Unavailable` where there is no room for it here either."""
        try:
            await anyio.to_thread.run_sync(self._keep, one.line)
        except (OSError, Timeout) as error:
            raise Unavailable(
                "neither the database nor the spool can be written", code="spool_unavailable"
            ) from error
        log.error("spool.kept", source=one.source)

    def _keep(self, line: bytes) -> None:
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._alone():
            size = self.path.stat().st_size if self.path.exists() else 0
            if size + len(line) > MOST_BYTES:
                raise OSError("the spool is full")
            try:
                self._append(line, size)
            except OSError:
                self._reserve.unlink(missing_ok=True)
                self._append(line, size)

    def _append(self, line: bytes, size: int) -> None:
        """The whole line or nothing, and on the disk."""
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.lseek(descriptor, size, os.SEEK_SET)
            _write_all(descriptor, line)
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, size)
            raise
        finally:
            os.close(descriptor)
        if not size:
            _sync(self.home)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No other process appends, or takes in, meanwhile."""
        with FileLock(self.home / "spool.lock", timeout=PATIENCE):
            yield

    def set_room_aside(self) -> None:
        """Keep some room free; where there is none, that is for another day."""
        if self._reserve.exists():
            return
        try:
            descriptor = os.open(self._reserve, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError:
            return
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(descriptor, 0, RESERVE_BYTES)
            else:
                os.write(descriptor, bytes(RESERVE_BYTES))
        except OSError:
            self._reserve.unlink(missing_ok=True)
        finally:
            os.close(descriptor)

    # ── taking in ────────────────────────────────────────────────────────────────────────────────────────
    async def take_in(self, store: Store, suppression: Suppression, clock: Clock) -> int:
        """Bring everything to where it belongs, and the file away. Returns how many lines there were.

        Raises `Unavailable` where the database still can't take it; nothing is lost then.
        """
        if not self.waiting():
            return 0
        lock = FileLock(self.home / "spool.lock", timeout=PATIENCE, thread_local=False)
        try:
            await anyio.to_thread.run_sync(lock.acquire)
        except (OSError, Timeout) as error:
            raise Unavailable("the spool can't be read", code="spool_unavailable") from error
        try:
            return await self._emptied(store, suppression, clock)
        except OSError as error:
            raise Unavailable("the spool can't be read", code="spool_unavailable") from error
        finally:
            lock.release()

    async def _emptied(self, store: Store, suppression: Suppression, clock: Clock) -> int:
        kept = await anyio.to_thread.run_sync(self._read)
        for start in range(0, len(kept), AT_ONCE):
            part = kept[start : start + AT_ONCE]
            await store.write(lambda c, part=part: _enter(c, suppression, part, iso(clock.now())))  # type: ignore[misc]  # mypy can't infer it
        await anyio.to_thread.run_sync(self._away)
        log.warning("spool.taken_in", lines=len(kept))
        return len(kept)

    def _read(self) -> list[Kept]:
        """Every line that was written whole; one that a crash cut off was never answered."""
        if not self.path.exists():
            return []
        return [kept for line in self.path.read_bytes().splitlines() if (kept := _parsed(line))]

    def _away(self) -> None:
        self.path.unlink(missing_ok=True)
        _sync(self.home)
        self.set_room_aside()


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _parsed(line: bytes) -> Kept | None:
    try:
        values: dict[str, Any] = json.loads(line)
        values |= {"raw": base64.b64decode(values["raw"]), "targets": tuple(values["targets"])}
        return Kept(**values)
    except (ValueError, TypeError, KeyError):
        log.error("spool.line_unreadable")  # noqa: TRY400 - its trace would show the line
        return None


def _enter(connection: sa.Connection, suppression: Suppression, kept: Sequence[Kept], now: str) -> None:
    """In one transaction: on the list, and webhooks among those that came."""
    for one in kept:
        for target in one.targets:
            try:
                said = {"reason": one.reason, "source": one.source, "actor": one.actor}
                if suppression.add_in(connection, target, **said) and not one.raw:
                    _owe(connection, target, one.reason, now)
            except Invalid as error:
                log.warning("spool.unreadable_target", code=error.code)
        if one.raw:
            _receive(connection, one, now)


def _owe(connection: sa.Connection, target: str, reason: str, now: str) -> None:
    """Both vendors have to be told; of a webhook, what it means does that."""
    note_in(connection, "sequencer", [target], reason, parse(now))
    if "@" in target:
        note_in(connection, "crm", [target], reason, parse(now))


def _receive(connection: sa.Connection, one: Kept, now: str) -> None:
    """Once per event, as the inbox does."""
    same = (inbound.c.vendor == one.vendor, inbound.c.event_id == one.event_id)
    if connection.execute(sa.select(inbound.c.id).where(*same)).first() is None:
        values = {"vendor": one.vendor, "event_id": one.event_id, "raw": one.raw}
        values |= {"correlation_id": one.correlation_id, "received_at": one.at or now}
        connection.execute(sa.insert(inbound).values(**values))


def _sync(folder: Path) -> None:
    if os.name == "posix":  # elsewhere a folder can't be synced, and needn't be
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
