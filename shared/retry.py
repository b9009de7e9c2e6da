"""Whether to try again, and when: three small functions, and the tenacity strategy made of them.

A read is tried again on anything retryable. A write only if it certainly had no effect, or may be repeated.
The vendor's word (`Retry-After`, seconds or a date) comes first; else full jitter: anything up to the backoff.
"""

import random
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import tenacity

from shared.errors import InDoubt, NotSent, Retryable, SwarmError

BASE = 0.5  # seconds
CAP = 20.0
SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,6})?")


def may_repeat(error: BaseException, *, writing: bool, repeatable: bool) -> bool:
    """Whether trying the same request again can do no harm and may help."""
    if isinstance(error, SwarmError) and error.code == "stopped":
        return False
    if isinstance(error, NotSent):
        return True
    if isinstance(error, InDoubt):
        return repeatable or not writing
    return isinstance(error, Retryable) and (repeatable or not writing)


def backoff(attempt: int) -> float:
    """The longest wait before attempt + 1, in seconds: 0.5, 1, 2, … 20."""
    return float(min(CAP, BASE * 2 ** (attempt - 1)))


def jittered(longest: float) -> float:
    """Anything from 0 to `longest`: callers that failed together don't come back together."""
    return random.uniform(0, longest)  # noqa: S311 - spreads load, guards nothing


def retry_after(value: str | None, now: datetime) -> float:
    """Seconds that a `Retry-After` header asks for; 0 if it asks for nothing readable."""
    text = (value or "").strip()
    if SECONDS.fullmatch(text):
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return 0.0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())


def strategy(
    *,
    retries: int,
    deadline: float,
    repeat: Callable[[BaseException], bool],
    sleep: Callable[[float], Awaitable[None]],
) -> tenacity.AsyncRetrying:
    """At most `retries` further attempts, none begun that would end its wait after `deadline` seconds."""

    def wait(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after if isinstance(error, SwarmError) else 0.0
        return asked or jittered(backoff(state.attempt_number))

    return tenacity.AsyncRetrying(
        sleep=sleep,
        retry=tenacity.retry_if_exception(repeat),
        stop=tenacity.stop_after_attempt(retries + 1) | tenacity.stop_before_delay(deadline),
        wait=wait,
        reraise=True,
    )
