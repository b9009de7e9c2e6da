"""Keys: made once, readable by their owner only, whole or not at all."""

import os
import stat
from pathlib import Path

import pytest

from shared.errors import ConfigError
from shared.keys import load_keys


def test_keys_are_made_once(tmp_path: Path) -> None:
    first, second = load_keys(tmp_path), load_keys(tmp_path)
    assert (first.pepper, first.audit_public) == (second.pepper, second.audit_public)
    assert (tmp_path / "keys" / "audit.pub").read_text().strip() == first.audit_public.hex()


def test_others_cannot_read_them(tmp_path: Path) -> None:
    load_keys(tmp_path)
    assert {stat.S_IMODE((tmp_path / "keys" / name).stat().st_mode) for name in ("pepper", "audit")} == {
        0o600
    }


@pytest.mark.skipif(os.name != "posix", reason="permissions of another kind")
def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    load_keys(tmp_path)
    (tmp_path / "keys" / "pepper").chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        load_keys(tmp_path)


@pytest.mark.parametrize("text", ["", "abc", "zz" * 32, "ab" * 31, "é" * 64])
def test_a_key_that_is_broken_is_refused(tmp_path: Path, text: str) -> None:
    load_keys(tmp_path)
    (tmp_path / "keys" / "audit").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="64 hexadecimal"):
        load_keys(tmp_path)


def test_keys_do_not_show_themselves(tmp_path: Path) -> None:
    keys = load_keys(tmp_path)
    assert keys.pepper.hex() not in repr(keys)
    assert repr(keys.pepper) not in repr(keys)
