"""What a published file says it covers, whatever state it is in."""

import json
from pathlib import Path

import pytest

from shared import published


def checkpoint(size: int) -> str:
    return f"alpha-swarm/log\n{size}\nroot\n\n— signature\n"


def test_the_newest_checkpoint_counts_though_processes_append_out_of_order(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    for size in (100, 300, 200):
        published.append([file], checkpoint(size))
    assert published.covered(file) == 300


def test_a_long_file_is_read_from_its_end(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    lines = [json.dumps({"note": checkpoint(size)}) for size in range(5_000)]
    file.write_text("\n".join(lines), encoding="utf-8")
    assert published.covered(file) == 4_999


@pytest.mark.parametrize(
    "text", ["", "{", '{"note": "x"}', '{"note": 7}', '{"note": "a\\nmany\\nb"}', '{"other": 1}', "\x00\xff"]
)
def test_a_file_without_a_checkpoint_covers_nothing(tmp_path: Path, text: str) -> None:
    file = tmp_path / "log.jsonl"
    file.write_text(text, encoding="latin-1")
    assert published.covered(file) == 0


def test_a_file_that_is_not_there_covers_nothing(tmp_path: Path) -> None:
    assert published.covered(tmp_path / "none" / "log.jsonl") == 0
