"""Answers: plain, within their budget, and told in words that suffice."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shared.answer import MAX_CHARACTERS, compact, fitted, plain, text
from shared.effect import Outcome
from shared.ports import BatchOutcome, ContactPage, ContactView


def told(value: object) -> str:
    structured = plain(value)
    assert isinstance(structured, dict)
    return text(value, structured)


def test_records_times_paths_and_tuples_become_json() -> None:
    given = {"at": datetime(2026, 1, 2, tzinfo=UTC), "file": Path("a/b"), "set": (1, 2.5, None, True)}
    assert plain(given) == {"at": "2026-01-02T00:00:00+00:00", "file": "a/b", "set": [1, 2.5, None, True]}


def test_keys_and_values_are_cleaned_at_any_depth() -> None:
    assert plain({"a\u200b": [{"b": "\u202ec"}]}) == {"a": [{"b": "c"}]}


def test_a_value_without_a_json_form_is_a_bug() -> None:
    with pytest.raises(TypeError):
        plain({"raw": b"bytes"})


def test_a_short_answer_is_left_alone() -> None:
    value = {"contacts": [1, 2, 3]}
    assert fitted(value) is value


@pytest.mark.parametrize(
    "value",
    [
        {"contacts": [{"id": str(n), "note": "x" * 50} for n in range(2_000)], "next_cursor": "n"},
        {"text": "日本" * 40_000, "document": "d"},
        {"result": [{"body": "y" * 200_000, "subject": "s"}]},
        {"fields": {str(n): "z" * 100 for n in range(3_000)}},
        {f"list{n}": ["w" * 10] * 2_000 for n in range(12)},
    ],
)
def test_a_long_answer_is_cut_below_the_budget_and_says_so(value: dict[str, Any]) -> None:
    cut = fitted(value)
    assert len(compact(cut)) <= MAX_CHARACTERS
    assert "Too long for one answer" in cut["truncated"]


def test_small_fields_survive_a_long_neighbour() -> None:
    cut = fitted({"next_cursor": "keep-me", "text": "x" * 100_000, "omitted": 3})
    assert (cut["next_cursor"], cut["omitted"]) == ("keep-me", 3)
    assert len(cut["text"]) > MAX_CHARACTERS - 1_000


def test_how_many_items_were_left_out_is_told() -> None:
    cut = fitted({"contacts": ["x" * 1_000] * 100})
    assert f"contacts: {len(cut['contacts'])} of 100 shown" in cut["truncated"]


def test_an_outcome_is_one_line() -> None:
    said = told(Outcome("refused", "suppressed", "A recipient opted out.", correlation_id="c1"))
    assert said == "refused (suppressed): A recipient opted out. correlation_id=c1"


def test_a_batch_counts_and_names_what_was_not_applied() -> None:
    outcomes = [Outcome("applied", reference="r1"), Outcome("failed", "gone", "No such contact.")]
    assert told(BatchOutcome.of(outcomes)).splitlines() == [
        "2 items: 1 applied, 1 failed",
        "item 1: failed (gone): No such contact.",
        "references of what was applied, in order: r1",
    ]


def test_a_large_batch_stays_within_the_budget_as_text() -> None:
    outcomes = [Outcome("refused", "limit", "A sending cap is reached. " * 40) for _ in range(1_000)]
    said = told(BatchOutcome.of(outcomes))
    assert len(said) <= MAX_CHARACTERS
    assert "and 980 more" in said


def test_a_page_is_a_line_per_item_with_its_cursor() -> None:
    page = ContactPage((ContactView("c1", "a@corp.example"),), omitted=4, next_cursor="n2")
    first, title, item = told(page).splitlines()
    assert (first, title) == ("omitted=4 next_cursor=n2", "contacts: 1")
    assert json.loads(item.removeprefix("- "))["email"] == "a@corp.example"


def test_an_empty_list_says_none() -> None:
    assert told(ContactPage(())) == "omitted=0\ncontacts: 0 (none)"
