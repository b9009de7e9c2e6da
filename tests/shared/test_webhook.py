"""The way in: caps and comparisons that hold before anything of a body is believed."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Invalid
from shared.webhook import MAX_BYTES, MAX_KEYS, composed_id, decode, same_secret


def test_an_object_is_read() -> None:
    assert decode(b'{"a": {"b": [1, "]]]]"]}}') == {"a": {"b": [1, "]]]]"]}}


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"x" * (MAX_BYTES + 1), "too_large"),
        (b'{"a":' * 33 + b"1" + b"}" * 33, "too_deep"),
        (b"[" * 100_000, "too_deep"),
        (b'{"a": 1, "a": 2}', "duplicate_key"),
        (b'{"x": {"a": 1, "a": 2}}', "duplicate_key"),
        (json.dumps({str(n): n for n in range(MAX_KEYS + 1)}).encode(), "too_many_keys"),
        (b"[]", "not_json"),
        (b'"text"', "not_json"),
        (b"", "not_json"),
        (b"{", "not_json"),
        (b'{"a": NaN}', "not_json"),
        (b'{"a": -Infinity}', "not_json"),
        (b'{"a": "\xff"}', "not_json"),
        (json.dumps({"a": 1}).encode("utf-16"), "not_json"),
        (b'{"a": ' + b"9" * 5_000 + b"}", "not_json"),
    ],
)
@pytest.mark.requirement("W4", "F13")
def test_a_body_beyond_the_caps_is_refused(raw: bytes, code: str) -> None:
    with pytest.raises(Invalid) as told:
        decode(raw)
    assert told.value.code == code


@given(st.binary(max_size=300))
@pytest.mark.requirement("W4", "F13")
def test_any_bytes_are_an_object_or_refused(raw: bytes) -> None:
    with suppress(Invalid):
        assert isinstance(decode(raw), dict)


@pytest.mark.parametrize(
    ("given_secret", "expected", "same"),
    [
        ("s3cret", "s3cret", True),
        ("s3cret", "other", False),
        ("", "", False),
        ("x", "", False),
        ("\udc80", "x", False),
    ],
)
@pytest.mark.requirement("W1", "F13")
def test_a_secret_is_the_same_or_not_and_an_empty_one_never(
    given_secret: str, expected: str, *, same: bool
) -> None:
    assert same_secret(given_secret, expected) is same


def test_an_event_without_an_id_gets_one_from_its_fields() -> None:
    assert composed_id("a", 1, None) == composed_id("a", "1", "")
    assert composed_id("a\x1fb") != composed_id("a", "b")
    assert len(composed_id("a")) == 40


def test_keys_are_counted_over_all_objects_of_a_body() -> None:
    many = json.dumps({"list": [{"k": n} for n in range(MAX_KEYS)]}).encode()
    with pytest.raises(Invalid) as told:
        decode(many)
    assert told.value.code == "too_many_keys"


def test_a_backslash_at_the_end_of_a_text_hides_no_nesting() -> None:
    nested = rb'{"a": "\\", "b": ' + b"[" * 33 + b"]" * 33 + b"}"
    with pytest.raises(Invalid) as told:
        decode(nested)
    assert told.value.code == "too_deep"


@pytest.mark.requirement("W4", "F13")
@pytest.mark.parametrize("unit", [b'\\"', b'"', b"\\", b'"\\', b"{", b'{"'])
def test_reading_costs_no_more_than_its_length_whatever_the_bytes_are(unit: bytes) -> None:
    raw = b'"' + unit * ((MAX_BYTES - 2) // len(unit)) + b"\\"
    with pytest.raises(Invalid):
        decode(raw)
