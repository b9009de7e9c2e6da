"""Which endings are not the last word: those that time cures, and those that a person does.

in doubt                              looked up when it is asked for again: time
the vendor was away, or asked to wait time
kill switch, pause, halt, a cap       a person, or tomorrow
anything else                         final: asking again would change nothing
"""

from collections.abc import Mapping

from shared.effect import Outcome
from shared.vendor_rules import RetryRules

TIME = frozenset(
    {"retry_later", "rate_limited", "unreachable", "server_unreachable", "server_error", "answer_lost"}
    | {"deadline", "in_flight", "not_there", "log_unavailable", "store_unavailable", "cancelled", "pending"}
    | {"breaker_open", "retry_budget", "attempts_spent", "too_late"}
)
PEOPLE = frozenset(
    {"kill_switch", "halted", "paused", "read_only", "limit", "budget", "stopped", "safe_mode"}
    | {"needs_approval", "approval_expired"}
)
# What makes everything of its kind stand still, as opposed to one item.
STANDING_STILL = frozenset({"kill_switch", "halted", "paused", "read_only"})

# Seconds before asking again is worth anything, where the kernel itself keeps calls back.
PATIENCE = RetryRules()  # as shipped
RESTS: Mapping[str, float] = {
    "attempts_spent": PATIENCE.unanswered_seconds,
    "retry_budget": PATIENCE.budget_seconds,
    "breaker_open": PATIENCE.longest_retry_after_seconds,
    "rate_limited": PATIENCE.longest_retry_after_seconds,
}


def cured_by_time(status: str, reason: str) -> bool:
    """Whether the same thing asked for a little later may end otherwise, though nobody acts."""
    return status == "in_doubt" or (status in {"failed", "refused"} and reason in TIME)


def may_pass(status: str, reason: str) -> bool:
    """Whether the same thing asked for again may ever end otherwise."""
    return cured_by_time(status, reason) or (status in {"failed", "refused"} and reason in PEOPLE)


def waits(outcome: Outcome) -> bool:
    """Whether this outcome is cured by time."""
    return cured_by_time(outcome.status, outcome.reason)
