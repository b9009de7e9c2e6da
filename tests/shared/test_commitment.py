"""Keyed hashes: the standard's own, however they are made."""

import hmac

from hypothesis import given
from hypothesis import strategies as st

from shared.commitment import KeyedHash, commit, commit_all


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_a_hash_begun_once_is_the_standards(key: bytes, data: bytes) -> None:
    made = KeyedHash(key)
    assert made.of(data) == made.of(data) == hmac.digest(key, data, "sha256")


@given(st.binary(max_size=200), st.lists(st.text(max_size=50), max_size=3))
def test_commitments_under_one_salt_are_those_made_one_by_one(salt: bytes, texts: list[str]) -> None:
    assert commit_all(salt, [text.encode() for text in texts]) == [commit(salt, text) for text in texts]


def test_a_commitment_tells_nothing_and_binds() -> None:
    assert commit(b"one", "jane") != commit(b"two", "jane") != commit(b"one", "jan")
    assert "jane" not in commit(b"one", "jane")
