"""Kill switch, safe mode, pauses and halts: the strictest of environment, file and database wins.

    running ─ kill() ─▶ killed ─ release(admin, reason) ─▶ running
    live ─ engage_safe_mode() ─▶ safe ─ leave_safe_mode(admin, reason) ─▶ live

Every claim reads these rows inside its own transaction, so once `kill` has returned no effect begins, in any
process. A flag file beside the database stops the system when the database itself can't be written.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import anyio.to_thread
import sqlalchemy as sa

from shared.audit import Entry, append
from shared.clock import Clock, iso, parse
from shared.errors import Invalid
from shared.schema import halt, pause, switch
from shared.settings import Settings
from shared.sql import run
from shared.store import Store, Unavailable
from shared.telemetry import logger

log = logger("switches")
KILL_PATIENCE = (
    5.0  # seconds that whoever presses waits for the database; the flag file has stopped everything
)
SWITCHES = "SELECT name, is_on, reason, at, epoch FROM switch"
PAUSES = "SELECT scope, kind, reason, actor, at, until FROM pause ORDER BY scope"
MAILBOX = "mailbox:"  # scope of a mailbox of ours, by its address in lower case
LONGEST_FLAG = 1_000  # bytes that are read of a flag file
Kind = Literal["pause", "halt"]
Raised = tuple[str, int, int]  # a flag as it was at one moment: path, inode, time of writing


@dataclass(frozen=True, slots=True)
class Pause:
    """Something that stands still, and why. A halt is one that a rule set; a named person clears it."""

    scope: str
    kind: str
    reason: str
    actor: str
    at: str
    until: str = ""


@dataclass(frozen=True, slots=True)
class Turned:
    """A switch as the database has it; one that was never turned is off."""

    is_on: int = 0
    reason: str = ""
    at: str = ""
    epoch: int = 0  # counts turns and presses: what was shown to somebody is still so, or isn't


@dataclass(frozen=True, slots=True)
class Safety:
    """The state of every switch. `kill_sources` and `safe_sources` say who says so."""

    killed: bool
    kill_sources: tuple[str, ...]
    kill_reason: str
    killed_at: str
    safe_mode: bool
    safe_sources: tuple[str, ...]
    read_only: bool
    pauses: tuple[Pause, ...]
    released_at: str = ""
    kill_epoch: int = 0
    safe_epoch: int = 0
    safe_at: str = ""  # since when the database has safe mode on


class Switches:
    """What stops everything, and what stops a part."""

    def __init__(self, store: Store, clock: Clock, settings: Settings) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings
        # Beside the database, where it is a file that all processes share, and in the home, where an operator looks.
        beside = store.path.parent if store.path else settings.home
        self.flags = tuple(dict.fromkeys((beside / "KILL", settings.home / "KILL")))

    def state(self, connection: sa.Connection) -> Safety:
        """In the caller's transaction: every switch as it stands."""
        rows = {row["name"]: tuple(row)[1:] for row in run(connection, SWITCHES)}
        kill, safe = (Turned(*rows[name]) if name in rows else Turned() for name in ("kill", "safe_mode"))
        flag = self._flag()
        kills = self._sources("KILL_SWITCH or safety.yaml", self._settings.kill_switch, kill)
        if flag:
            kills = (*kills, "flag file")
        safes = self._sources("SAFE_MODE or safety.yaml", self._settings.safe_mode, safe)
        now = iso(self._clock.now())
        pauses = [Pause(*tuple(row)) for row in run(connection, PAUSES)]
        return Safety(
            killed=bool(kills),
            kill_sources=kills,
            kill_reason=kill.reason if kill.is_on or not flag else flag.reason,
            killed_at=min(filter(None, (kill.at if kill.is_on else "", flag.at if flag else "")), default=""),
            safe_mode=bool(safes),
            safe_sources=safes,
            read_only=self._settings.read_only,
            pauses=tuple(p for p in pauses if not p.until or p.until > now),
            released_at="" if kill.is_on else kill.at,
            kill_epoch=kill.epoch,
            safe_epoch=safe.epoch,
            safe_at=safe.at if safe.is_on else "",
        )

    @staticmethod
    def _sources(configured: str, on: bool, turned: "Turned") -> tuple[str, ...]:
        said = [configured] if on else []
        if turned.is_on:
            said.append("database")
        return tuple(said)

    def _flag(self) -> Turned | None:
        """What the flag files say, None where there is none. One that can't be read counts as there."""
        found: list[Turned] = []
        for flag in self.flags:
            try:
                found.append(_read_flag(flag))
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError:
                found.append(Turned(1))
        return min(found, key=lambda one: one.at or "9", default=None)

    async def now(self) -> Safety:
        """Every switch as it stands."""
        return await self._store.read(self.state)

    async def kill(self, *, actor: str, reason: str) -> bool:
        """Stop every effect, from the moment this returns. True if the database holds it, not only the file.

        A database that is locked takes it as soon as it can; nobody waits for that. Raises `Unavailable` if neither
        could be written: then, and only then, nothing is stopped.
        """
        await anyio.to_thread.run_sync(self._raise_flags, reason)
        try:
            with anyio.fail_after(KILL_PATIENCE):
                await self._store.write(lambda c: self._turn(c, "kill", True, actor, reason))
        except (Unavailable, TimeoutError) as error:
            log.exception("kill.only_by_file")
            # Once more: a release that was under way may have taken the first flag away.
            if not await anyio.to_thread.run_sync(self._raise_flags, reason):
                raise Unavailable(
                    "neither a flag file nor the database took it", code="not_killed"
                ) from error
            return False
        return True

    def _raise_flags(self, reason: str) -> bool:
        """Write every flag that can be written. True if one is there; a full disk must not stop the stopping."""
        raised = False
        for flag in self.flags:
            try:
                raise_flag(flag, reason, self._clock.now())
                raised = True
            except OSError:
                log.exception("kill.flag_not_written", flag=flag.name)
                # A full disk takes the file and not its words; the file is what stops everything.
                raised = raised or _is_there(flag)
        return raised

    async def release(self, *, actor: str, reason: str) -> None:
        """Let effects begin again: only for a named admin, with a reason; the caller has checked the role."""
        raised = self.raised()
        await self._store.write(lambda c: self.release_in(c, actor=actor, reason=reason))
        await anyio.to_thread.run_sync(self.lower, raised)

    def release_in(self, connection: sa.Connection, *, actor: str, reason: str) -> None:
        """In the caller's transaction, as `release`; `lower` the flags once it is durable."""
        _need(actor, reason)
        self._turn(connection, "kill", False, actor, reason)

    def raised(self) -> frozenset[Raised]:
        """The flags as they are now, for `lower`: taken before a release is decided."""
        return frozenset(found for flag in self.flags if (found := _raised(flag)))

    def lower(self, raised: frozenset[Raised]) -> None:
        """Take away these flags, and none that was raised since."""
        for flag in self.flags:
            try:
                if _raised(flag) in raised:
                    flag.unlink(missing_ok=True)
            except OSError:
                log.exception("release.flag_not_lowered", flag=flag.name)  # it still stops, and is shown to

    async def engage_safe_mode(self, *, actor: str, reason: str) -> None:
        """Simulate every effect from now on, but for what stops people and campaigns that are real."""
        await self._store.write(lambda c: self._turn(c, "safe_mode", True, actor, reason))

    async def leave_safe_mode(self, *, actor: str, reason: str) -> None:
        """Let effects be real again as far as the database has a say: only for a named admin, with a reason."""
        await self._store.write(lambda c: self.leave_safe_mode_in(c, actor=actor, reason=reason))

    def leave_safe_mode_in(self, connection: sa.Connection, *, actor: str, reason: str) -> None:
        """In the caller's transaction, as `leave_safe_mode`."""
        _need(actor, reason)
        self._turn(connection, "safe_mode", False, actor, reason)

    def _turn(self, connection: sa.Connection, name: str, on: bool, actor: str, reason: str) -> None:
        now = self._clock.now()
        row = connection.execute(sa.select(switch).where(switch.c.name == name)).one_or_none()
        values = {"is_on": int(on), "reason": reason, "actor": actor, "at": iso(now)}
        if row is None:
            connection.execute(sa.insert(switch).values(name=name, epoch=1, **values))
        else:
            changed = sa.update(switch).where(switch.c.name == name).values(epoch=row.epoch + 1)
            # Who pressed first, when and why, stays.
            connection.execute(changed if on and row.is_on else changed.values(**values))
        if name == "kill" and not on:
            _cleared(connection, name, actor, iso(now))
        append(connection, [Entry(f"switch.{name}", "on" if on else "off", {"reason": reason}, actor)], now)

    async def pause(
        self, scope: str, *, actor: str, reason: str, kind: Kind = "pause", until: str = ""
    ) -> None:
        """Make `all`, `vendor:ghl`, `campaign:42`, `session:phantombuster:7` or `mailbox:me@ours.example` stand still.

        `until` is ISO 8601, empty for open-ended. Only ever tightens: what stands already and is stricter, or
        lasts longer, stays.
        """
        end = _moment(until)
        said = {"actor": actor, "reason": reason, "until": end}
        await self._store.write(lambda c: self.pause_in(c, scope, kind=kind, **said))

    def pause_in(
        self,
        connection: sa.Connection,
        scope: str,
        *,
        actor: str,
        reason: str,
        kind: Kind = "pause",
        until: str = "",
    ) -> None:
        """In the caller's transaction, as `pause`; `until` as `iso` writes it."""
        now = self._clock.now()
        known = connection.execute(sa.select(pause).where(pause.c.scope == scope)).one_or_none()
        tight, last = kind, until
        if known is not None and (not known.until or known.until > iso(now)):
            tight, last = _tighter(known, kind, until)
            if (tight, last) == (known.kind, known.until):
                return
        connection.execute(sa.delete(pause).where(pause.c.scope == scope))
        values = {"kind": tight, "reason": reason, "actor": actor, "at": iso(now), "until": last}
        connection.execute(sa.insert(pause).values(scope=scope, **values))
        append(connection, [Entry(f"{tight}.set", scope, {"reason": reason, "until": last}, actor)], now)

    async def resume(self, scope: str, *, actor: str, reason: str) -> bool:
        """Let it move again: for a named person, with a reason. True if it stood still."""
        return await self._store.write(lambda c: self.resume_in(c, scope, actor=actor, reason=reason))

    def resume_in(self, connection: sa.Connection, scope: str, *, actor: str, reason: str) -> bool:
        """In the caller's transaction, as `resume`."""
        _need(actor, reason)
        now = self._clock.now()
        removed = connection.execute(sa.delete(pause).where(pause.c.scope == scope)).rowcount
        _cleared(connection, scope, actor, iso(now))
        append(connection, [Entry("pause.cleared", scope, {"reason": reason}, actor)], now)
        return removed > 0


def standing(
    safety: Safety, vendor: str, campaign: str, session: str = "", mailboxes: Sequence[str] = ()
) -> Pause | None:
    """The pause or halt that covers this vendor, campaign and session at the vendor, halts first.

    Those of `mailboxes` cover it where none is left to write from.
    """
    if not safety.pauses:
        return None
    scopes = {"all", f"vendor:{vendor}", f"campaign:{campaign}", f"session:{vendor}:{session}"}
    covering = [entry for entry in safety.pauses if entry.scope in scopes]
    silent = silenced(safety)
    if mailboxes and all(box.lower() in silent for box in mailboxes):
        covering += [silent[box.lower()] for box in mailboxes]
    return min(covering, key=lambda entry: entry.kind != "halt", default=None)


def silenced(safety: Safety) -> dict[str, Pause]:
    """Mailboxes of ours that stand still, by address."""
    boxes = [entry for entry in safety.pauses if entry.scope.startswith(MAILBOX)]
    return {entry.scope.removeprefix(MAILBOX).lower(): entry for entry in boxes}


def _tighter(known: sa.Row[Any], kind: Kind, until: str) -> tuple[Kind, str]:
    """Of what stands and what is asked for, the stricter kind and the later end."""
    both: Kind = "halt" if "halt" in {known.kind, kind} else "pause"
    return both, max(known.until, until) if known.until and until else ""


def _moment(text: str) -> str:
    if not text:
        return ""
    try:
        return iso(parse(text))
    except ValueError as error:
        raise Invalid("a pause ends at a time with a zone, in ISO 8601", field="until") from error


def _cleared(connection: sa.Connection, scope: str, actor: str, at: str) -> None:
    """Whatever rule stopped this judges only what happens from now on."""
    standing_still = (halt.c.scope == scope, halt.c.cleared_at == "")
    connection.execute(sa.update(halt).where(*standing_still).values(cleared_at=at, cleared_by=actor))


def _need(actor: str, reason: str) -> None:
    if not actor.strip() or not reason.strip():
        raise Invalid("this needs a named person and a reason", field="reason")


def _is_there(flag: Path) -> bool:
    try:
        return flag.exists()
    except OSError:
        return False


def raise_flag(path: Path, reason: str, now: datetime) -> None:
    """Write the flag so that a crash right after still finds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, f"{iso(now)} {reason}\n".encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read_flag(path: Path) -> Turned:
    """Who raised it by hand may have written anything into it, or nothing."""
    with path.open("rb") as file:
        text = file.read(LONGEST_FLAG).decode("utf-8", "replace").strip()
    at, _, reason = text.partition(" ")
    try:
        return Turned(1, reason, iso(parse(at)))
    except ValueError:
        return Turned(1, text)


def _raised(path: Path) -> Raised | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return str(path), found.st_ino, found.st_mtime_ns
