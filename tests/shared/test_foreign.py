"""Characters that hide or reorder what is read are gone; the rest stays to the letter."""

import pytest

from shared.foreign import clean


@pytest.mark.parametrize(
    "hidden",
    [
        *("\u200b", "\u200d", "\u200e", "\u202e", "\u2066", "\u2060", "\ufeff", "\u00ad", "\ufe0f"),
        *("\x00", "\x07", "\x1b", "\x7f", "\x9b", "\U000e0041", "\U000e0100", "\u3164"),
    ],
)
def test_an_invisible_character_is_removed(hidden: str) -> None:
    assert clean(f"ig{hidden}nore") == "ignore"


@pytest.mark.parametrize(
    "text", ["plain", "Zoë Łukasz", "日本語", "two\nlines\tand a tab", "🙂", "“quoted” — dash"]
)
def test_visible_text_stays_to_the_letter(text: str) -> None:
    assert clean(text) == text


def test_every_line_end_becomes_a_newline() -> None:
    assert clean("a\r\nb\rc") == "a\nb\nc"


def test_half_a_surrogate_pair_can_be_sent_as_utf8_afterwards() -> None:
    assert clean("a\ud800b").encode() == "a\ufffdb".encode()
