"""The material that the rules for replies are measured with is whole. What they score stands in other tests."""

import json
from collections import Counter
from email import message_from_string, policy
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.corpus.split import HELD_BACK, OPEN, is_held_back

CORPUS = Path("tests/corpus")
LABELS = set(yaml.safe_load(Path("config/routing.yaml").read_text("utf-8"))["replies"])
CONTENT = ("raw", "text", "html")


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]


@pytest.fixture(scope="module")
def replies() -> list[dict[str, Any]]:
    return records(OPEN) + records(HELD_BACK)


def test_every_class_is_there_and_no_other(replies: list[dict[str, Any]]) -> None:
    assert {one["label"] for one in replies} == LABELS
    assert {label for one in replies for label in one.get("also", [])} <= LABELS


def test_no_reply_is_there_twice(replies: list[dict[str, Any]]) -> None:
    assert len({one["id"] for one in replies}) == len(replies)
    contents = {tuple(one.get(key, "") for key in (*CONTENT, "subject")) for one in replies}
    assert len(contents) == len(replies)


def test_there_are_enough_of_each_kind(replies: list[dict[str, Any]]) -> None:
    labels = Counter(one["label"] for one in replies)
    assert len(replies) >= 450
    assert labels["unsubscribe"] >= 130
    assert labels["out_of_office"] >= 90
    assert min(labels.values()) >= 8
    assert (
        len([one for one, times in Counter(one["language"] for one in replies).items() if times >= 20]) >= 6
    )


def test_a_third_is_held_back(replies: list[dict[str, Any]]) -> None:
    assert all(is_held_back(one["id"]) for one in records(HELD_BACK))
    assert not any(is_held_back(one["id"]) for one in records(OPEN))
    assert 0.28 < len(records(HELD_BACK)) / len(replies) < 0.39
    assert {one["label"] for one in records(HELD_BACK)} == LABELS


def test_an_opt_out_says_how_plain_it_is_and_an_absence_when_it_ends(replies: list[dict[str, Any]]) -> None:
    for one in replies:
        assert ("opt_out" in one) == (one["label"] == "unsubscribe"), one["id"]
        assert ("returns" in one) == (one["label"] == "out_of_office"), one["id"]
        assert one.get("opt_out", "exact") in {"exact", "inside"}
        assert one.get("returns") is None or one["returns"] > one["received"][:10], one["id"]


def test_each_reply_is_a_mail_or_a_text_that_can_be_read(replies: list[dict[str, Any]]) -> None:
    for one in replies:
        assert sum(key in one for key in CONTENT) == 1, one["id"]
        assert not any(" ## " in one.get(key, "") for key in CONTENT), "a note stands in the text"
        if "raw" in one:
            mail = message_from_string(one["raw"], policy=policy.default)
            assert all(mail[header] for header in ("From", "Subject", "Message-ID")), one["id"]
            assert mail.is_multipart() or mail.get_content().strip(), one["id"]


def test_the_injections_are_many_and_all_different() -> None:
    injections = records(CORPUS / "injections.jsonl")
    assert len({one["pattern"] for one in injections}) == len(injections) >= 220
    assert len({(one["subject"], one.get("text", one.get("html"))) for one in injections}) == len(injections)
    assert {label for one in injections for label in one["worst"]} <= LABELS
    assert all(isinstance(one["suppresses"], bool) for one in injections)
