"""Whether to try again, and when: small functions, the tenacity strategy made of them, and a memory of attempts.

A read is tried again on anything retryable. A write only if it certainly had no effect, or may be repeated.
The vendor's word (`Retry-After`, seconds or a date) comes first; else full jitter: anything up to the backoff.

Whoever tries again, this layer or one above it, an operation makes at most four attempts within two minutes, and within
ten as long as the vendor answers nobody (`Attempts`). After that it is certainly not sent, and says when it may be
asked for again. A look that belongs to no call and no run is another one after two minutes, however the last one ended.
"""

import math
import random
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import tenacity

from shared.errors import InDoubt, NotSent, Retryable, SwarmError
from shared.traffic import Traffic
from shared.vendor_rules import RetryRules

# Not sent, for a reason of our own that trying at once doesn't cure.
WAITS = frozenset({"stopped", "too_late", "attempts_spent", "retry_budget", "breaker_open"})
REMEMBERED = 10_000  # operations that failed lately
SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,6})?")


def may_repeat(error: BaseException, *, writing: bool, repeatable: bool) -> bool:
    """Whether trying the same request again can do no harm and may help."""
    if isinstance(error, SwarmError) and error.code in WAITS:
        return False
    if isinstance(error, NotSent):
        return True
    if isinstance(error, InDoubt):
        return repeatable or not writing
    return isinstance(error, Retryable) and (repeatable or not writing)


def backoff(rules: RetryRules, attempt: int) -> float:
    """The longest wait before attempt + 1, in seconds: it doubles, up to a cap."""
    return float(min(rules.longest_seconds, rules.first_seconds * 2 ** (attempt - 1)))


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


def may_retry(rules: RetryRules, lately: Traffic) -> bool:
    """Whether one more retry stays within the budget of its account."""
    return lately.retries + 1 <= max(rules.budget_least, lately.calls * rules.budget_percent / 100)


def strategy(
    rules: RetryRules,
    *,
    left: Callable[[], float],
    repeat: Callable[[BaseException], bool],
    sleep: Callable[[float], Awaitable[None]],
) -> tenacity.AsyncRetrying:
    """At most so many further attempts, none that would begin when no time is `left` (seconds)."""

    def wait(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after if isinstance(error, SwarmError) else 0.0
        return asked or jittered(backoff(rules, state.attempt_number))

    def over(state: tenacity.RetryCallState) -> bool:
        return state.attempt_number > rules.retries or state.upcoming_sleep >= left()

    return tenacity.AsyncRetrying(
        sleep=sleep,
        retry=tenacity.retry_if_exception(repeat),
        stop=over,
        wait=wait,
        reraise=True,
    )


@dataclass(frozen=True, slots=True)
class Operation:
    """One request of an effect or of a call or run, or a look that nobody's call or run waits for."""

    id: str
    look: bool = False


class Attempts:
    """When operations at one vendor account failed lately. Times are monotonic seconds.

    What is under way doesn't count: several may ask for the same at once, and each is an operation of its own.
    """

    def __init__(self, rules: RetryRules) -> None:
        self._rules = rules
        self._longest = max(rules.attempts_seconds, rules.unanswered_seconds)
        self._made: dict[str, list[float]] = {}  # by the operation's id
        self._well_at = -math.inf  # when the vendor answered anything at all

    def ahead(self, operation: Operation, now: float) -> float:
        """Seconds until another attempt may be made; 0 for now."""
        made, rules = self._made.get(operation.id, []), self._rules
        if len(made) < rules.attempts:
            return 0.0
        soon = operation.look or self._well_at >= made[-1]
        span = rules.attempts_seconds if soon else rules.unanswered_seconds
        return max(0.0, made[-rules.attempts] + span - now)

    def failed(self, operation: Operation, now: float) -> None:
        """One wasn't answered."""
        if len(self._made) >= REMEMBERED:
            self._made = {name: at for name, at in self._made.items() if now - at[-1] < self._longest}
        self._made[operation.id] = [*self._made.pop(operation.id, []), now][-self._rules.attempts :]

    def answered(self, operation: Operation, now: float) -> None:
        """It was answered, whatever the answer: it begins anew, and the vendor is there."""
        self._well_at = now
        self._made.pop(operation.id, None)
