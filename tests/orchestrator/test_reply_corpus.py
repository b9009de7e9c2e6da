"""The rules against replies that were written apart from them: what they hear, by class, on every part.

Rules are built with `open` and `building`; the held-back third is for measuring alone: see `tests/corpus/README.md`.
Run with -s for scores and confusions.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from orchestrator.replies import Classified, classify

REPLIES = Path(__file__).parents[1] / "corpus" / "replies"
STOPPED = {"unsubscribe", "legal_threat", "hostile", "complaint"}
HELD = STOPPED | {"unknown"}  # nobody there is written to before a person has read it
LEAST_RECALL = 0.995  # of opt-outs: who asks to be left alone is
LEAST_KNOWN = 0.995  # of those, heard as what they are without anybody reading them
LEAST_INDIRECT = 0.67  # the same of those who say it in a roundabout way, which a person then reads
LEAST_PRECISION = 0.99  # of absences: no person is taken for a machine
LEAST_AWAY = {"open": 0.99, "building": 0.98, "held_back": 0.93}  # of absences, known as such
LEAST_RIGHT = {
    "open": 0.98,
    "building": 0.94,
    "held_back": 0.85,
}  # have the class a careful reader gives them
MOST_NEAR = 0.05  # of near-misses that a person has to let go


@dataclass(frozen=True, slots=True)
class Read:
    """A reply of the corpus, and how the rules read it."""

    label: str
    also: tuple[str, ...]
    returns: str
    found: Classified
    near_miss: bool = False  # sounds like an opt-out, and asks for none

    @property
    def right(self) -> bool:
        return self.found.reply == self.label or self.found.reply in self.also


def read(record: dict[str, Any]) -> Read:
    came: date = datetime.fromisoformat(record["received"]).date()
    text = record.get("raw") or record.get("html") or record.get("text") or ""
    found = classify(record.get("subject", ""), text, received=came)
    also, returns = tuple(record.get("also", ())), record.get("returns") or ""
    return Read(record["label"], also, returns, found, record.get("near_miss", False))


@pytest.fixture(scope="module", params=["open", "building", "held_back"])
def part(request: pytest.FixtureRequest) -> str:
    """One part of the corpus."""
    return str(request.param)


@pytest.fixture(scope="module")
def replies(part: str) -> list[Read]:
    """Its replies, read by the rules."""
    lines = (REPLIES / f"{part}.jsonl").read_text("utf-8").splitlines()
    found = [read(json.loads(line)) for line in lines]
    show(part, found)
    return found


def share(good: Iterable[bool]) -> float:
    counted = list(good)
    return sum(counted) / len(counted)


def recall(replies: list[Read], classes: set[str]) -> float:
    """Opt-outs that end up in one of these classes."""
    return share(one.found.reply in classes for one in replies if one.label == "unsubscribe")


def away_recall(replies: list[Read]) -> float:
    return share(one.right for one in replies if one.label == "out_of_office")


def stopped_near(replies: list[Read]) -> list[Read]:
    """Near-misses that end contact all the same."""
    return [one for one in replies if one.near_miss and one.found.reply in STOPPED]


def precision(replies: list[Read], label: str) -> float:
    return share(one.right for one in replies if one.found.reply == label)


def show(name: str, replies: list[Read]) -> None:
    away = [one for one in replies if one.label == "out_of_office"]
    confused = Counter((one.label, one.found.reply) for one in replies if not one.right)
    lines = [
        f"\n{name}: {len(replies)} replies, accuracy {share(one.right for one in replies):.4f}",
        (
            f"  opt-outs: stopped and held {recall(replies, HELD):.4f}, heard as such {recall(replies, STOPPED):.4f}"
            f", precision {precision(replies, 'unsubscribe'):.4f}"
        ),
        (
            f"  absences: precision {precision(replies, 'out_of_office'):.4f}"
            f", recall {away_recall(replies):.4f}"
            f", day of return {share(one.returns == one.found.return_on for one in away):.4f}"
        ),
        f"  near-misses: {sum(one.near_miss for one in replies)}, stopped all the same {len(stopped_near(replies))}",
        *(f"  {count:3} {label} read as {found}" for (label, found), count in confused.most_common()),
    ]
    sys.stdout.write("\n".join(lines) + "\n")


@pytest.mark.requirement("C5", "U10")
def test_who_asks_to_be_left_alone_is_not_written_to_again(replies: list[Read]) -> None:
    assert recall(replies, HELD) >= LEAST_RECALL
    assert recall(replies, STOPPED) >= LEAST_KNOWN


def test_no_person_is_taken_for_a_machine_that_is_away(replies: list[Read]) -> None:
    assert precision(replies, "out_of_office") >= LEAST_PRECISION


def test_nearly_all_absences_are_known(replies: list[Read], part: str) -> None:
    assert away_recall(replies) >= LEAST_AWAY[part]


def test_most_replies_have_the_class_a_careful_reader_gives_them(replies: list[Read], part: str) -> None:
    assert share(one.right for one in replies) >= LEAST_RIGHT[part]


@pytest.mark.requirement("C5")
def test_nobody_is_suppressed_at_once_who_did_not_ask_for_it(replies: list[Read]) -> None:
    at_once = [one for one in replies if one.found.reply == "unsubscribe" and not one.found.to_confirm]
    assert share(one.label in STOPPED or "unsubscribe" in one.also for one in at_once) >= 0.99


def test_what_only_sounds_like_an_opt_out_suppresses_nobody_and_seldom_waits(replies: list[Read]) -> None:
    stopped = stopped_near(replies)
    assert all(one.found.to_confirm for one in stopped)
    assert len(stopped) <= MOST_NEAR * sum(one.near_miss for one in replies)


@pytest.mark.requirement("C5", "U10")
def test_who_asks_in_a_roundabout_way_is_not_written_to_before_somebody_read_it() -> None:
    lines = (REPLIES / "indirect.jsonl").read_text("utf-8").splitlines()
    found = [read(json.loads(line)) for line in lines]
    show("indirect", found)
    assert recall(found, HELD) >= LEAST_RECALL
    assert recall(found, STOPPED) >= LEAST_INDIRECT
    others = [one for one in found if one.label != "unsubscribe" and one.found.reply in STOPPED]
    assert all(one.found.to_confirm for one in others)
    assert len(others) <= MOST_NEAR * sum(one.label != "unsubscribe" for one in found)


def test_the_corpus_is_as_large_as_it_is_said_to_be() -> None:
    lines = [line for file in REPLIES.glob("*.jsonl") for line in file.read_text("utf-8").splitlines()]
    assert len(lines) >= 1_800
    assert len({json.loads(line)["language"] for line in lines}) >= 6
