"""When to try again: what the vendor says first, else anything up to the backoff."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Fatal, InDoubt, Invalid, NotSent, Retryable
from shared.retry import backoff, jittered, may_repeat, retry_after

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
        (NotSent("x", code="stopped"), False, False, False),
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
    assert [backoff(n) for n in range(1, 9)] == [0.5, 1, 2, 4, 8, 16, 20, 20]


@given(st.floats(0, 100))
@pytest.mark.requirement("R5")
def test_jitter_is_anything_up_to_the_backoff(longest: float) -> None:
    assert 0 <= jittered(longest) <= longest
