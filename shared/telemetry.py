"""Logs and correlation: JSON lines on stderr, one correlation id from tool call to database row, nothing personal.

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
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog

_correlation: contextvars.ContextVar[str] = contextvars.ContextVar("correlation", default="")
ADDRESS = re.compile(r"[\w.+'\-]{1,64}@[\w\-]+(?:\.[\w\-]+)+")
SECRET = re.compile(
    r"(?i)\b(?:bearer\s+[\w\-.~+/=]{8,}|pit-[\w\-]{8,}|sk-[\w\-]{8,}|eyJ[\w\-]{8,}\.[\w\-]+\.[\w\-]*|"
    r"(?:api[_-]?key|token|secret|password)[\"']?\s*[=:]\s*[\"']?[^\s\"'&,}]{4,})"
)
URL_USER = re.compile(r"(?<=://)[^/@\s]+@")
NOISY = ("httpx", "httpcore", "httpx2", "httpcore2", "mcp", "uvicorn", "dbos", "alembic", "sqlalchemy", "asyncio")


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
    local, _, domain = address.partition("@")
    tail = hmac.new(key, address.lower().encode(), hashlib.sha256).hexdigest()[:6]
    return f"{local[:1]}***@{domain}#{tail}" if domain else f"***#{tail}"


def redact(text: str, key: bytes = b"log") -> str:
    """`text` without addresses and secrets, on one line."""
    text = SECRET.sub("[secret]", URL_USER.sub("[secret]@", text))
    text = ADDRESS.sub(lambda found: mask(found.group(), key), text)
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


class _Redaction:
    """A structlog processor: every string of every line is redacted, keyed per installation."""

    def __init__(self, key: bytes) -> None:
        self.key = key

    def __call__(
        self, logger: object, method: str, line: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        return {name: self._clean(value) for name, value in line.items()}

    def _clean(self, value: Any) -> Any:
        if isinstance(value, str):
            return redact(value, self.key)
        if isinstance(value, dict):
            return {str(k): self._clean(v) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [self._clean(v) for v in value]
        if value is None or isinstance(value, bool | int | float):
            return value
        return redact(str(value), self.key)


def _add_correlation(
    logger: object, method: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    if _correlation.get():
        line.setdefault("correlation_id", _correlation.get())
    return line


def configure(level: str = "INFO", key: bytes = b"log") -> None:
    """Log JSON to stderr from `level` up; called once, by a `__main__`."""
    shared = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_correlation,
    ]
    end = [structlog.processors.format_exc_info, _Redaction(key), structlog.processors.JSONRenderer()]
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
