"""Holds a third of the replies back: chosen at random, and each for itself, so that additions move none of the others.

    python -m tests.corpus.split

reads both files and writes both again. Who adds replies appends them to open.jsonl and runs it.
"""

import json
from hashlib import sha256
from pathlib import Path

SEED = "replies-1"
REPLIES = Path(__file__).parent / "replies"
OPEN = REPLIES / "open.jsonl"
HELD_BACK = REPLIES / "held_back.jsonl"


def is_held_back(name: str, seed: str = SEED) -> bool:
    return int(sha256(f"{seed}:{name}".encode()).hexdigest(), 16) % 3 == 0


def split() -> None:
    lines = [line for file in (OPEN, HELD_BACK) for line in file.read_text("utf-8").split("\n") if line]
    records = {json.loads(line)["id"]: line for line in lines}
    _write(OPEN, [records[name] for name in sorted(records) if not is_held_back(name)])
    _write(HELD_BACK, [records[name] for name in sorted(records) if is_held_back(name)])


def _write(path: Path, lines: list[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")


if __name__ == "__main__":
    split()
