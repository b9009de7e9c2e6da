"""Titles in four languages, labelled by hand: whoever runs a company is never taken for somebody below."""

from collections import Counter
from pathlib import Path

import pytest

from orchestrator.titles import seniority

CORPUS = Path(__file__).parents[1] / "corpus" / "titles.txt"
TITLES = [
    tuple(line.split(" ", 2))
    for line in CORPUS.read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]
LANGUAGES = ("en", "de", "fr", "es")


def test_the_table_is_large_enough_to_say_something() -> None:
    counted = Counter((language, label) for language, label, _ in TITLES)
    assert len(TITLES) >= 300
    assert all(counted[language, "top"] >= 40 and counted[language, "below"] >= 20 for language in LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_top_is_recognised(language: str) -> None:
    top = [title for spoken, label, title in TITLES if (spoken, label) == (language, "top")]
    missed = [title for title in top if seniority(title) != "c_level"]
    assert len(missed) <= len(top) * 0.01, missed


@pytest.mark.parametrize("language", LANGUAGES)
def test_who_is_below_seldom_costs_an_approval_more(language: str) -> None:
    below = [title for spoken, label, title in TITLES if (spoken, label) == (language, "below")]
    extra = [title for title in below if seniority(title) == "c_level"]
    assert len(extra) <= len(below) * 0.1, extra
