"""Signed checkpoints and cosignatures: only what was signed is believed, wherever the text comes from."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from shared.checkpoint import cosignature, cosigned_at, note, notes_in, origin_of, parse_note, read_note

KEY, OTHER = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2))
PUBLIC, FOREIGN = (key.public_key().public_bytes_raw() for key in (KEY, OTHER))
ROOT = b"r" * 32
NOTE = note(KEY, 1_234, ROOT)


def test_what_was_signed_is_read_back() -> None:
    for beginning in (1, 2, 17):
        read = read_note(note(KEY, 5, ROOT, beginning), PUBLIC)
        assert (read.size, read.root, read.beginning) == (5, ROOT, beginning)
        assert read.origin == origin_of(PUBLIC, beginning)


@pytest.mark.parametrize(
    "changed",
    [
        NOTE.replace("1234", "1235"),
        NOTE.replace("1234", "01234"),
        NOTE.replace("1234", "-1234"),
        NOTE.replace(base64.b64encode(ROOT).decode(), base64.b64encode(b"s" * 32).decode()),
        NOTE.replace("\n\n", "\nan extension\n\n"),
        NOTE.replace("alpha-swarm/audit/", "beta-swarm/audit/"),
        NOTE.replace("— ", "- "),
        NOTE[:-8] + NOTE[-4:],
        NOTE.split("\n\n")[0] + "\n\n",
        NOTE + "and more\n",
        "x" * 5_000,
        "",
    ],
)
def test_a_checkpoint_that_was_changed_is_not_believed(changed: str) -> None:
    with pytest.raises(ValueError):
        read_note(changed, PUBLIC)


@given(st.integers(0, len(NOTE.encode()) - 1), st.integers(1, 255))
def test_no_flipped_byte_is_believed(at: int, change: int) -> None:
    raw = bytearray(NOTE.encode())
    raw[at] ^= change
    text = raw.decode("utf-8", "replace")
    try:
        read = read_note(text, PUBLIC)
    except ValueError:
        return
    assert read.body == parse_note(NOTE).body  # only bits that base64 doesn't use were flipped


def test_another_key_signs_for_another_log() -> None:
    with pytest.raises(ValueError):
        read_note(NOTE, FOREIGN)
    forged = note(OTHER, 5, ROOT).replace(origin_of(FOREIGN), origin_of(PUBLIC))
    with pytest.raises(ValueError, match="signature"):
        read_note(forged, PUBLIC)


def test_a_cosignature_is_that_witness_s_and_over_that_checkpoint() -> None:
    body = parse_note(NOTE).body
    signed = parse_note(NOTE + cosignature(OTHER, "witness.example/one", body, 1_700_000_000))
    assert cosigned_at(signed, "witness.example/one", FOREIGN) == 1_700_000_000
    assert cosigned_at(signed, "witness.example/two", FOREIGN) is None
    assert cosigned_at(signed, "witness.example/one", PUBLIC) is None
    moved = cosignature(OTHER, "witness.example/one", body, 1_700_000_000)
    other = parse_note(note(KEY, 9_999, ROOT) + moved)
    assert cosigned_at(other, "witness.example/one", FOREIGN) is None
    assert read_note(NOTE + cosignature(OTHER, "w", body, 5), PUBLIC).size == 1_234


def test_checkpoints_are_found_in_any_text() -> None:
    second = note(KEY, 2_000, ROOT)
    text = f"Hello,\n\nthis is the newest one:\n{NOTE}and\n\n{second}\nRegards\nalpha-swarm/audit/nothing\n"
    assert list(notes_in(text)) == [NOTE, second]
    assert list(notes_in("nothing here")) == []
