"""When to try again: what the vendor says first, else anything up to the backoff."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Fatal, InDoubt, Invalid, NotSent, Retryable
from shared.retry import (
    REMEMBERED,
    WAITS,
    Attempts,
    Operation,
    backoff,
    jittered,
    may_repeat,
    may_retry,
    retry_after,
)
from shared.traffic import Traffic
from shared.vendor_rules import RetryRules

RULES = RetryRules()
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1", 1),
        ("120", 120),
        (" 7 ", 7),
        ("1.5", 1.5),
        ("Mon, 02 Mar 2026 09:01:00 GMT", 60),
        ("Mon, 02 Mar 2026 09:01:00", 60),
        ("Mon, 02 Mar 2026 08:00:00 GMT", 0),
        ("Mon, 02 Mar 2026 10:01:00 +0100", 60),
        (None, 0),
        ("", 0),
        ("-1", 0),
        ("soon", 0),
        ("²", 0),
        ("١٢", 0),
        ("1e9", 0),
        ("9" * 400, 0),
        ("Mon, 02 Mar 99999 09:01:00 GMT", 0),
        ("nan", 0),
        ("inf", 0),
    ],
)
@pytest.mark.requirement("R5", "F3")
def test_what_a_vendor_asks_for_is_understood_or_ignored(text: str | None, seconds: float) -> None:
    assert retry_after(text, NOW) == seconds


@given(st.text(max_size=40))
def test_no_header_breaks_it(text: str) -> None:
    assert retry_after(text, NOW) >= 0


@pytest.mark.parametrize(
    ("error", "read", "write", "repeatable"),
    [
        (NotSent("x"), True, True, True),
        (Retryable("x"), True, False, True),
        (InDoubt("x"), True, False, True),
        (Invalid("x"), False, False, False),
        (Fatal("x"), False, False, False),
        *((NotSent("x", code=code), False, False, False) for code in sorted(WAITS)),
        (ValueError("x"), False, False, False),
    ],
)
@pytest.mark.requirement("D1")
def test_only_what_can_do_no_harm_is_repeated(
    error: Exception, *, read: bool, write: bool, repeatable: bool
) -> None:
    assert may_repeat(error, writing=False, repeatable=True) is read
    assert may_repeat(error, writing=True, repeatable=False) is write
    assert may_repeat(error, writing=True, repeatable=True) is repeatable


def test_the_backoff_doubles_up_to_its_cap() -> None:
    assert [backoff(RetryRules(), n) for n in range(1, 9)] == [0.5, 1, 2, 4, 8, 16, 20, 20]


@given(st.floats(0, 100))
@pytest.mark.requirement("R5")
def test_jitter_is_anything_up_to_the_backoff(longest: float) -> None:
    assert 0 <= jittered(longest) <= longest


# ── the budget of an account ─────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("calls", "retries", "allowed"),
    [
        (0, 0, True),
        (1, 9, True),
        (1, 10, False),
        (100, 10, False),
        (200, 18, True),
        (200, 19, True),
        (200, 20, False),
    ],
)
def test_a_tenth_of_all_calls_may_be_retries_and_a_few_always(
    calls: int, retries: int, allowed: bool
) -> None:
    assert may_retry(RetryRules(), Traffic(calls, retries)) is allowed


# ── an operation's attempts ──────────────────────────────────────────────────────────────────────────────
ONE, ANOTHER = Operation("one"), Operation("another")


def spent(attempts: Attempts, operation: Operation = ONE) -> None:
    for number in range(RULES.attempts):
        assert attempts.ahead(operation, number) == 0
        attempts.failed(operation, number)


@pytest.mark.requirement("R4")
def test_while_the_vendor_answers_nobody_an_operation_makes_four_attempts_in_ten_minutes() -> None:
    attempts = Attempts(RULES)
    spent(attempts)
    assert attempts.ahead(ONE, 10) == RULES.unanswered_seconds - 10
    assert attempts.ahead(ANOTHER, 10) == 0
    assert attempts.ahead(ONE, RULES.unanswered_seconds) == 0
    attempts.failed(ONE, RULES.unanswered_seconds)
    assert attempts.ahead(ONE, RULES.unanswered_seconds) == 1


@pytest.mark.requirement("R4")
def test_once_the_vendor_answered_somebody_else_it_makes_four_in_two() -> None:
    attempts = Attempts(RULES)
    attempts.answered(ANOTHER, 0)
    spent(attempts)
    assert attempts.ahead(ONE, 10) == RULES.unanswered_seconds - 10
    attempts.answered(ANOTHER, 11)
    assert attempts.ahead(ONE, 11) == RULES.attempts_seconds - 11
    assert attempts.ahead(ONE, RULES.attempts_seconds) == 0


@pytest.mark.requirement("R4", "F14")
def test_a_look_of_no_call_or_run_is_another_one_after_two_minutes() -> None:
    attempts, look = Attempts(RULES), Operation("one", look=True)
    spent(attempts, look)
    assert attempts.ahead(look, 10) == RULES.attempts_seconds - 10
    assert attempts.ahead(look, RULES.attempts_seconds) == 0
    assert attempts.ahead(ONE, RULES.attempts_seconds) > 0


def test_what_was_answered_begins_anew() -> None:
    attempts = Attempts(RULES)
    spent(attempts)
    attempts.answered(ONE, 5)
    assert attempts.ahead(ONE, 5) == 0


def test_the_memory_of_attempts_stays_small() -> None:
    attempts = Attempts(RULES)
    for number in range(REMEMBERED):
        attempts.failed(Operation(f"old {number}"), 0)
    attempts.failed(Operation("new"), RULES.unanswered_seconds)
    assert len(attempts._made) == 1
