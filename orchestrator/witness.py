"""A witness of audit logs (C2SP tlog-witness): remembers how far each has grown, and signs that it only grew.

It runs under another user, best on another machine, and shares nothing with the logs but their public keys. Whoever
owns a log's database, and even its key, can't make it forget: a shorter log, or another one of the same length, has no
proof that leads there.

folder/key         its own Ed25519 key; key.pub is what logs are configured with
folder/logs        the logs it trusts, one a line: public key, and how many beginnings it accepts (1 if not said)
folder/seen/ID     the newest checkpoint of each log, written durably before the answer leaves

POST /add-checkpoint    200 with its signature · 400 unreadable · 403 not signed · 404 unknown log · 409 another size,
                        or another root, with the size it has · 422 no proof · 500 it can't write: then it signs nothing
GET  /logs/KEYHASH      the newest checkpoint of the log with that key (SHA-256, hex), with its signature · 404
"""

import base64
import hashlib
import os
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import anyio
import anyio.to_thread
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from filelock import FileLock, Timeout
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from orchestrator.web.security import body
from shared.checkpoint import Checkpoint, cosignature, origin_of, parse_note, read_note
from shared.clock import Clock, SystemClock
from shared.errors import ConfigError
from shared.keys import secret_in
from shared.listener import listen, listener
from shared.merkle import HASH_BYTES, is_consistent
from shared.telemetry import logger

log = logger("witness")
BODY_BYTES = 16_384
MOST_PROOF = 63  # lines; no log is larger than that
ASKED = re.compile(r"old (0|[1-9][0-9]{0,17})\n((?:[A-Za-z0-9+/]{43}=\n){0,63})\n(.+)", re.DOTALL)
TRUSTED = re.compile(r"([0-9a-f]{64})(?:\s+([1-9][0-9]{0,3}))?")
SIZE_TYPE = "text/x.tlog.size"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, taken apart and not believed yet."""

    old: int
    proof: tuple[bytes, ...]
    found: Checkpoint
    note: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered; `keep` is written down first."""

    status: HTTPStatus
    text: str = ""
    keep: bool = False


# ── deciding ─────────────────────────────────────────────────────────────────────────────────────────────
def asked(raw: bytes) -> Asked:
    """The request in a body; `ValueError` for anything else."""
    found = ASKED.fullmatch(raw.decode("utf-8"))
    if found is None:
        raise ValueError("not a request")
    proof = tuple(base64.b64decode(line, validate=True) for line in found[2].split())
    if any(len(one) != HASH_BYTES for one in proof):
        raise ValueError("not a proof")
    return Asked(int(found[1]), proof, parse_note(found[3]), found[3])


def trusted(text: str) -> dict[str, bytes]:
    """Origin → public key, by the lines of the file of logs; `ConfigError` names a line that says neither."""
    origins: dict[str, bytes] = {}
    for number, line in enumerate(text.splitlines(), 1):
        said = line.split("#", 1)[0].strip()
        found = TRUSTED.fullmatch(said)
        if said and found is None:
            raise ConfigError(
                f"logs:{number}: expected a public key of 64 hex digits, and a number of beginnings"
            )
        if found is not None:
            public = bytes.fromhex(found[1])
            origins |= {origin_of(public, n): public for n in range(1, int(found[2] or 1) + 1)}
    return origins


def judge(request: Asked, known: Checkpoint | None, public: bytes | None) -> Answer:
    """What the protocol says, given what was seen last of this log and the key it is trusted with."""
    if public is None:
        return Answer(HTTPStatus.NOT_FOUND, "this log isn't known here\n")
    try:
        found = read_note(request.note, public)
    except ValueError:
        return Answer(HTTPStatus.FORBIDDEN, "no signature of this log's key\n")
    size, root = (known.size, known.root) if known else (0, b"")
    if request.old > found.size:
        return Answer(HTTPStatus.BAD_REQUEST, "the old size is above the new one\n")
    if request.old != size or (size and size == found.size and root != found.root):
        return Answer(HTTPStatus.CONFLICT, f"{size}\n")
    if size and not is_consistent(size, root, found.size, found.root, request.proof):
        return Answer(
            HTTPStatus.UNPROCESSABLE_ENTITY, "this proof doesn't lead from the old tree to the new one\n"
        )
    if not size and request.proof:
        return Answer(
            HTTPStatus.UNPROCESSABLE_ENTITY, "nothing has to be proven about the first checkpoint\n"
        )
    return Answer(HTTPStatus.OK, keep=True)


# ── acting ───────────────────────────────────────────────────────────────────────────────────────────────
class WitnessFolder:
    """What one witness knows. Only one process may have it open."""

    def __init__(self, folder: Path, name: str, clock: Clock) -> None:
        (folder / "seen").mkdir(parents=True, exist_ok=True, mode=0o700)
        raw = secret_in(folder / "key", Ed25519PrivateKey.generate().private_bytes_raw())
        self.key = Ed25519PrivateKey.from_private_bytes(raw)
        self.public = self.key.public_key().public_bytes_raw()
        self.name = name
        self._folder = folder
        self._clock = clock
        (folder / "key.pub").write_text(self.public.hex() + "\n", encoding="ascii")
        (folder / "logs").touch()
        self.logs()  # a line that can't be read is told at the start

    def logs(self) -> dict[str, bytes]:
        """The logs it trusts, as the file says at this moment."""
        return trusted((self._folder / "logs").read_text(encoding="utf-8"))

    def trust(self, public: bytes) -> None:
        """Add a log to the file."""
        if origin_of(public) not in self.logs():
            with (self._folder / "logs").open("a", encoding="utf-8") as file:
                file.write(f"{public.hex()}\n")

    def seen(self, origin: str) -> str:
        """The newest checkpoint of a log as it was kept, or "". One that can't be read is an error, not a new log."""
        path = self._path(origin)
        try:
            return path.read_text(encoding="utf-8")
        except FileNotFoundError:
            if path.parent.is_dir():
                return ""
            raise

    def add(self, request: Asked) -> Answer:
        """Judge, write down, sign: nothing else may run between these."""
        origin = request.found.origin
        text = self.seen(origin)
        answer = judge(request, parse_note(text) if text else None, self.logs().get(origin))
        if not answer.keep:
            return answer
        now = int(self._clock.now().timestamp())
        signed = cosignature(self.key, self.name, request.found.body, now)
        own = request.note[: request.note.index("\n\n") + 2] + _line_of(request.note, origin)
        _write(self._path(origin), own + signed)
        return Answer(HTTPStatus.OK, signed)

    def newest(self, keyhash: str) -> str:
        """The newest checkpoint of the log with that key, of its last beginning that was seen; or ""."""
        texts = [
            self.seen(origin)
            for origin, public in self.logs().items()
            if hashlib.sha256(public).hexdigest() == keyhash
        ]
        return next((text for text in reversed(texts) if text), "")

    def _path(self, origin: str) -> Path:
        return self._folder / "seen" / hashlib.sha256(origin.encode()).hexdigest()


def _line_of(note: str, origin: str) -> str:
    """The log's own signature line; whatever else a note carries isn't kept."""
    return next(line + "\n" for line in note.split("\n") if line.startswith(f"— {origin} "))


def _write(path: Path, text: str) -> None:
    """Whole or not at all, and on the disk before this returns."""
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(
            os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
        ) as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    if os.name == "posix":  # elsewhere a folder can't be synced, and needn't be
        _sync(path.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def lock(folder: Path) -> FileLock:
    """Taken for as long as the folder is open; `ConfigError` if another process has it."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    held = FileLock(folder / "lock", timeout=0, thread_local=False)
    try:
        held.acquire()
    except Timeout as error:
        raise ConfigError(f"{folder}: another witness has this folder open") from error
    return held


# ── serving ──────────────────────────────────────────────────────────────────────────────────────────────
def create_witness(folder: WitnessFolder) -> Starlette:
    """The HTTP service."""
    alone = anyio.Lock()

    async def add(request: Request) -> Response:
        try:
            wanted = asked(await body(request, BODY_BYTES))
        except ValueError:
            return PlainTextResponse("not a request to add a checkpoint\n", HTTPStatus.BAD_REQUEST)
        async with alone:
            # Shielded: whoever hangs up must not separate what is written from what is signed.
            with anyio.CancelScope(shield=True):
                answer = await anyio.to_thread.run_sync(_added, folder, wanted)
        kind = SIZE_TYPE if answer.status == HTTPStatus.CONFLICT else "text/plain"
        return PlainTextResponse(answer.text, answer.status, media_type=kind)

    async def newest(request: Request) -> Response:
        text = await anyio.to_thread.run_sync(folder.newest, request.path_params["keyhash"])
        return PlainTextResponse(
            text or "nothing was seen of it\n", HTTPStatus.OK if text else HTTPStatus.NOT_FOUND
        )

    routes = [
        Route("/add-checkpoint", add, methods=["POST"]),
        Route("/logs/{keyhash}", newest, methods=["GET"]),
    ]
    return Starlette(routes=routes)


def _added(folder: WitnessFolder, wanted: Asked) -> Answer:
    """As `add`; what can't be read or written here is told, and signed by nobody."""
    try:
        answer = folder.add(wanted)
    except (OSError, ValueError, ConfigError):
        log.exception("witness.not_kept")
        return Answer(HTTPStatus.INTERNAL_SERVER_ERROR, "the witness can't keep it\n")
    log.info("witness.asked", status=int(answer.status), size=wanted.found.size, old=wanted.old)
    return answer


async def serve(
    home: Path,
    name: str,
    address: str,
    keys: Sequence[bytes],
    allowed_hosts: Sequence[str],
    announce: Callable[[str], object],
) -> None:
    """Serve until stopped by a signal. Beyond loopback, a proxy with TLS stands in front."""
    at = listener(address, allowed_hosts=allowed_hosts)
    held = lock(home)
    try:
        folder = WitnessFolder(home, name, SystemClock())
        for key in keys:
            folder.trust(key)

        def ready(url: str) -> None:
            announce(f"{{name: {name}, url: {url}, public_key: {folder.public.hex()}}}")

        await listen(create_witness(folder), at, ready)
    finally:
        held.release()
