"""Errors by who must act, and no other exception crosses a layer.

    SwarmError
    ├── Retryable      the vendor or the network; trying later may help
    │   └── NotSent    … and the request certainly had no effect
    ├── Fatal          a person must act: credentials, plan, configuration
    ├── Invalid        the caller must change its arguments (kind "validation")
    │   └── Conflict   same idempotency key, other content
    └── InDoubt        sent, and the answer lost: neither success nor failure is known
    ConfigError        outside the tree: nothing may start half-configured, so nothing may swallow it

A refusal by the gate is a value (`Outcome.status == "refused"`), never an exception.
"""

from typing import Literal

Kind = Literal["retryable", "fatal", "validation"]


class SwarmError(Exception):
    """Carries what a caller may be told: `message` is written by us, never copied from outside."""

    kind: Kind = "fatal"

    def __init__(
        self,
        message: str,
        *,
        field: str = "",
        retry_after: float = 0.0,
        code: str = "",
        status: int = 0,
        body: object = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.retry_after = retry_after  # seconds; 0 when the vendor named none
        self.code = code  # a short stable word, such as "rate_limited"
        self.status = status  # the vendor's HTTP status; 0 when there was none
        self.body = body  # the vendor's parsed answer: for the server that reads it, never shown or logged


class Retryable(SwarmError):
    """A time-out, a 429, a 5xx: trying again later may succeed."""

    kind: Kind = "retryable"


class NotSent(Retryable):
    """The request never reached the vendor's application, so it certainly had no effect."""


class Fatal(SwarmError):
    """Credentials, plan or configuration: a person must act before anything of this kind can work."""

    kind: Kind = "fatal"


class Invalid(SwarmError):
    """Our own arguments are wrong; `field` names which, so that the caller can correct itself."""

    kind: Kind = "validation"


class Conflict(Invalid):
    """The same idempotency key was used before with other content."""


class InDoubt(SwarmError):
    """The request was sent and its answer was lost or unreadable: look it up, never send it again blindly."""

    kind: Kind = "retryable"


class ConfigError(Exception):
    """A configuration file or variable is wrong; the message names file, line and what is expected."""
