"""Logs and correlation: JSON lines on stderr, one correlation id from tool call to database row, no person.

Addresses are masked (`j***@corp.com#1a2b3c`: the tail is a keyed hash, so lines about one person still meet),
secrets never arrive: libraries that print URLs are silenced.
"""

import contextvars
import hashlib
import hmac
import logging
import re
import secrets
import sys
from collections.abc import Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog
from structlog.typing import Processor

_correlation: contextvars.ContextVar[str] = contextvars.ContextVar("correlation", default="")
ADDRESS = re.compile(r"[\w.+'\-]{1,64}(?:@|%40)[\w\-]+(?:\.[\w\-]+)+")
NAMED = r"(?:api[_\- ]?key|x-api-key|auth[_\-]?key|access[_\-]?key|secret|token|passw(?:or)?d|pwd|signature|cookie)"
SECRET = re.compile(
    rf"""(?ix)
    \b(?:bearer|basic)\s+[\w\-.~+/=]{{8,}}                                  # an Authorization header's value
    | \b(?:pit|sk|pk|rk|ghp|gho|xox[abprs]|whsec|apify_api|phb)[-_][\w\-]{{8,}}   # keys that say what they are
    | \beyJ[\w\-]{{8,}}\.[\w\-]+\.[\w\-]*                                 # a JWT
    | \bAKIA[0-9A-Z]{{12,}}
    | hooks\.slack\.com/services/[\w/]+
    | -----BEGIN[ ][A-Z ]*PRIVATE[ ]KEY-----.*?(?:-----END[ ][A-Z ]*-----|$)
    | [\w\-]*{NAMED}[\w\-]*["']?\s*[=:]\s*(?:"[^"]{{4,}}"|'[^']{{4,}}'|[^\s"'&,}}]{{4,}})     # name=value
    """,
    re.DOTALL,
)
SECRET_NAME = re.compile(rf"(?i){NAMED}|authorization")
URL_USER = re.compile(r"(?<=://)[^/@\s]+@")
MASKED = "[secret]"
SHORTEST_SECRET = 6  # characters; a shorter known value would be found everywhere
NOISY = (
    "httpx",
    "httpcore",
    "httpx2",
    "httpcore2",
    "mcp",
    "uvicorn",
    "dbos",
    "alembic",
    "sqlalchemy",
    "asyncio",
)


def correlation() -> str:
    """The id of what is being done now; empty outside of any call or run."""
    return _correlation.get()


@contextmanager
def correlated(identifier: str = "") -> Iterator[str]:
    """Everything inside carries one id: the given one, the one in force, or a new one."""
    chosen = identifier or _correlation.get() or secrets.token_hex(8)
    token = _correlation.set(chosen)
    try:
        yield chosen
    finally:
        _correlation.reset(token)


def mask(address: str, key: bytes = b"log") -> str:
    """`jane@corp.com` → `j***@corp.com#1a2b3c`."""
    local, _, domain = address.replace("%40", "@").partition("@")
    tail = hmac.new(key, address.lower().encode(), hashlib.sha256).hexdigest()[:6]
    return f"{local[:1]}***@{domain}#{tail}" if domain else f"***#{tail}"


def redact(text: str, key: bytes = b"log") -> str:
    """`text` without addresses and secrets, on one line."""
    text = SECRET.sub(MASKED, URL_USER.sub(f"{MASKED}@", text))
    text = ADDRESS.sub(lambda found: mask(found.group(), key), text)
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


class _Redaction:
    """A structlog processor: every string of every line is redacted, keyed per installation.

    `secrets`: values that are known, so that they are found wherever and however they stand.
    """

    def __init__(self, key: bytes, known: Iterable[str] = ()) -> None:
        self.key = key
        self.known = sorted(
            {value for value in known if len(value) >= SHORTEST_SECRET}, key=len, reverse=True
        )

    def __call__(
        self, _logger: object, _method: str, line: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        return {name: self._named(name, value) for name, value in line.items()}

    def _named(self, name: str, value: Any) -> Any:
        return MASKED if value and SECRET_NAME.search(name) else self._clean(value)

    def _text(self, text: str) -> str:
        for value in self.known:
            text = text.replace(value, MASKED)
        return redact(text, self.key)

    def _clean(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, dict):
            return {self._text(str(k)): self._named(str(k), v) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [self._clean(v) for v in value]
        if value is None or isinstance(value, bool | int | float):
            return value
        return self._text(str(value))


def _add_correlation(
    _logger: object, _method: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    if _correlation.get():
        line.setdefault("correlation_id", _correlation.get())
    return line


def configure(level: str = "INFO", key: bytes = b"log", known: Iterable[str] = ()) -> None:
    """Log JSON to stderr from `level` up; called once, by a `__main__`. `known`: secrets, never to be shown."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_correlation,
    ]
    end: list[Processor] = [
        structlog.processors.format_exc_info,
        _Redaction(key, known),
        structlog.processors.JSONRenderer(),
    ]
    structlog.configure(
        processors=[*shared, *end],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    stream = logging.StreamHandler(sys.stderr)
    stream.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *end],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[stream], force=True)
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.CRITICAL if name != "dbos" else logging.ERROR)


def logger(name: str) -> Any:
    """A logger whose lines carry `component`."""
    return structlog.get_logger(component=name)
