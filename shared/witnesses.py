"""Asking witnesses to put their name under the newest checkpoint (C2SP tlog-witness).

ours is larger ─ proof that theirs is its beginning ─▶ 200: they keep it, and we their signature
               ├ 409: theirs has another size ─ proof from there ─▶ once more
               └ theirs is no beginning of ours ─▶ two histories under one key: `Forked`

A witness is no vendor, and what it gets holds no word of anybody: three numbers and a signature. So neither the kill
switch nor safe mode holds it, and a witness that can't be reached stops nothing.
"""

import base64
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol

import anyio
import sqlalchemy as sa

from shared import places
from shared.beginnings import is_ours
from shared.checkpoint import cosigned_at, parse_note, read_note
from shared.checkpoint_rules import WitnessAt
from shared.clock import Clock, iso
from shared.errors import Fatal, Retryable, SwarmError
from shared.merkle import Edge, consistency_proof
from shared.places import Place
from shared.schema import audit_checkpoint, audit_leaf
from shared.store import Store
from shared.telemetry import logger

log = logger("witnesses")
SECONDS = 3.0  # for one witness to answer
LONGEST = 8_192  # bytes of an answer
TRIES = 3
REST = timedelta(seconds=30)  # for one that failed, before it is asked again
ASK_AGAIN = timedelta(seconds=60)  # though nothing seems to be new: the log may have been put back
OK, NOT_FOUND, CONFLICT, UNPROVEN = 200, 404, 409, 422


class Forked(Fatal):
    """A witness holds a checkpoint that we signed and that isn't the beginning of this log."""


class Answered(Protocol):
    """What is read of an answer."""

    @property
    def status_code(self) -> int:
        """The status."""
        ...

    def aiter_bytes(self) -> AsyncIterator[bytes]:
        """Its body, in parts."""
        ...


class Caller(Protocol):
    """What is needed of an HTTP client; it is passed in, for the library belongs to other modules."""

    def stream(self, method: str, url: str, *, content: bytes) -> AbstractAsyncContextManager[Any]:
        """Send, and let the answer be read in parts."""
        ...


@dataclass(frozen=True, slots=True)
class Newest:
    """Our newest checkpoint."""

    size: int
    note: str


class Witnesses:
    """Those that are configured, for the log with that key."""

    def __init__(
        self, store: Store, clock: Clock, http: Caller, public: bytes, configured: Sequence[WitnessAt]
    ) -> None:
        self._store = store
        self._clock = clock
        self._http = http
        self._public = public
        self._configured = tuple(configured)

    @property
    def names(self) -> tuple[str, ...]:
        """Of those that are configured."""
        return tuple(one.name for one in self._configured)

    def __len__(self) -> int:
        return len(self._configured)

    async def give(self) -> None:
        """Give the newest checkpoint to each that lacks it, side by side; how it went is noted.

        Raises `Forked` once all were asked, if one shows another history.
        """
        newest = await self._store.read(_newest)
        known = await self._store.read(places.all_places)
        forked: list[Forked] = []

        async def one(witness: WitnessAt) -> None:
            try:
                size, text = await self._give(witness, newest)
            except Forked as error:
                forked.append(error)
                await self._failed(witness, error)
            except Exception as error:  # noqa: BLE001 - whatever goes wrong at a witness is noted, and stops nothing
                await self._failed(witness, error)
            else:
                now = self._clock.now()
                await self._store.write(
                    lambda c: places.given(c, witness.name, size, now, outside=True, note=text)
                )

        async with anyio.create_task_group() as tasks:
            for witness in self._configured:
                if is_due(known.get(witness.name), newest.size, self._clock.now()):
                    tasks.start_soon(one, witness)
        if forked:
            raise forked[0]

    async def _failed(self, witness: WitnessAt, error: Exception) -> None:
        kind = error.code or error.kind if isinstance(error, SwarmError) else type(error).__name__
        log.warning("witness.failed", witness=witness.name, kind=kind)
        now = self._clock.now()
        await self._store.write(lambda c: places.failed(c, witness.name, kind, now, outside=True))

    async def _give(self, witness: WitnessAt, newest: Newest) -> tuple[int, str]:
        """The size that this witness has seen now, and the checkpoint with its name under it."""
        known = await self._store.read(places.all_places)
        old = known[witness.name].size if witness.name in known else 0
        for _ in range(TRIES):
            if old > newest.size:  # somebody else of us gave it a newer one meanwhile
                return await self._newer(witness)
            proof = await self._store.read(partial(_proof, old=old, new=newest.size))
            status, text = await self._call(
                "POST", witness, "/add-checkpoint", _asked(old, proof, newest.note)
            )
            if status == OK:
                return newest.size, self._signed(witness, newest.note + text)
            if status == CONFLICT and text.strip().isdecimal() and int(text) != old:
                old = int(text)
            elif status in {CONFLICT, UNPROVEN}:
                await self._newer(witness)
                raise Forked("the log doesn't go on from what a witness has seen of it", code="forked")
            else:
                raise Fatal("the witness refused it", code=f"http_{status}")
        raise Retryable("the witness says something else each time", code="unclear")

    async def _newer(self, witness: WitnessAt) -> tuple[int, str]:
        """What it holds already, if that is ours. Raises `Forked` if it is signed by us, and isn't here."""
        text = await self._last(witness)
        if not text:
            raise Retryable("the witness doesn't say what it holds", code="unclear")
        found = read_note(text, self._public)
        if not await self._store.read(partial(is_ours, found=found)):
            raise Forked(
                f"a witness holds {found.size} entries that aren't the beginning of this log", code="forked"
            )
        return found.size, text

    def _signed(self, witness: WitnessAt, text: str) -> str:
        """The checkpoint with the witness's name under it. Raises `Fatal` if that isn't its signature."""
        try:
            signed = cosigned_at(parse_note(text), witness.name, bytes.fromhex(witness.public_key))
        except ValueError:
            signed = None
        if signed is None:
            raise Fatal("the answer isn't signed with the witness's key", code="not_cosigned")
        return text

    async def last(self) -> dict[str, list[str]]:
        """What each holds of this log, by where; one that can't be asked is left out, with a warning."""
        found: dict[str, list[str]] = {}

        async def one(witness: WitnessAt) -> None:
            try:
                text = await self._last(witness)
            except Exception as error:  # noqa: BLE001 - as above
                log.warning("witness.not_asked", witness=witness.name, kind=type(error).__name__)
                return
            if text:
                found[f"the witness {witness.name}"] = [text]

        async with anyio.create_task_group() as tasks:
            for witness in self._configured:
                tasks.start_soon(one, witness)
        return found

    async def _last(self, witness: WitnessAt) -> str:
        """The newest checkpoint that it holds of any beginning of this log, or ""."""
        status, text = await self._call("GET", witness, f"/logs/{hashlib.sha256(self._public).hexdigest()}")
        if status not in {OK, NOT_FOUND}:
            raise Retryable("the witness can't be asked", code=f"http_{status}")
        return text if status == OK else ""

    async def _call(
        self, method: str, witness: WitnessAt, path: str, content: bytes = b""
    ) -> tuple[int, str]:
        """Status and text of an answer, within its time and its size."""
        parts = bytearray()
        with anyio.fail_after(SECONDS):
            async with self._http.stream(method, witness.url.rstrip("/") + path, content=content) as answer:
                async for part in answer.aiter_bytes():
                    parts += part
                    if len(parts) > LONGEST:
                        raise Fatal("the witness answers too much", code="too_large")
        return answer.status_code, parts.decode("utf-8", "replace")


def is_due(place: Place | None, size: int, now: datetime) -> bool:
    """Whether a witness is asked now: it may lack the newest checkpoint, and didn't fail a moment ago."""
    if place is None or not size:
        return size > 0
    if place.problem:
        return place.tried_at <= iso(now - REST)
    return place.size != size or place.tried_at <= iso(now - ASK_AGAIN)


def _asked(old: int, proof: Sequence[bytes], note: str) -> bytes:
    """The body of a request to `add-checkpoint`."""
    lines = [f"old {old}", *(base64.b64encode(one).decode() for one in proof), ""]
    return ("\n".join(lines) + "\n" + note).encode()


def _newest(connection: sa.Connection) -> Newest:
    query = sa.select(audit_checkpoint.c.size, audit_checkpoint.c.note)
    row = connection.execute(query.order_by(audit_checkpoint.c.size.desc()).limit(1)).one_or_none()
    return Newest(row.size, row.note) if row else Newest(0, "")


def _proof(connection: sa.Connection, old: int, new: int) -> list[bytes]:
    """From the right edge that was kept with the old checkpoint; without one, from the first entry on."""
    query = sa.select(audit_checkpoint.c.frontier).where(audit_checkpoint.c.size == old)
    packed = connection.execute(query).scalar()
    edge = Edge(old, packed) if packed else Edge()
    later = _hashes(connection, edge.size, new)
    for leaf in later[: old - edge.size]:
        edge.append(leaf)
    return consistency_proof(edge, later[len(later) - (new - old) :])


def _hashes(connection: sa.Connection, start: int, stop: int) -> list[bytes]:
    leaf = audit_leaf.c
    query = sa.select(leaf.hash).where(leaf.seq >= start, leaf.seq < stop).order_by(leaf.seq)
    return [bytes(one) for one in connection.execute(query).scalars()]
