"""Feedback reports: by a table, as MIME or as their fields stand in a text, and within bounds."""

import pytest

from shared.bounce import MOST
from shared.feedback import TYPES, Feedback, read_feedback

REPORT = """From: feedback@provider.example
Subject: FW: a question
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="b1"

--b1
Content-Type: text/plain

This is an email abuse report.
{text}
--b1
Content-Type: message/feedback-report

Feedback-Type: {kind}
User-Agent: SomeGenerator/1.0
Version: 1
{fields}
--b1
Content-Type: {returned}

From: sales@ours.example
To: {to}
Subject: A question

Feedback-Type: not-spam
--b1--
"""


def report(kind: str = "abuse", **more: str) -> str:
    given = {"text": "", "fields": "", "to": "Kim <kim@acme.example>", "returned": "message/rfc822", **more}
    return REPORT.format(kind=kind, **given)


@pytest.mark.requirement("U15")
@pytest.mark.parametrize("kind", [*TYPES, "never-heard-of", "ABUSE"])
def test_what_it_says_is_a_row_of_a_table_and_an_unknown_word_is_a_complaint(kind: str) -> None:
    found = read_feedback(report(kind))
    assert found is not None
    assert found.meaning == TYPES.get(kind.lower(), "complaint")


@pytest.mark.parametrize(
    ("more", "whom"),
    [
        ({}, ("kim@acme.example",)),
        ({"returned": "text/rfc822-headers"}, ("kim@acme.example",)),
        ({"fields": "Original-Rcpt-To: <Ann@Acme.example>"}, ("ann@acme.example", "kim@acme.example")),
        ({"fields": "Removal-Recipient: rfc822;ann@acme.example", "to": "redacted"}, ("ann@acme.example",)),
        ({"to": "undisclosed-recipients:;"}, ()),
    ],
)
def test_whom_it_is_about_is_read_from_its_fields_and_from_the_mail_in_it(
    more: dict[str, str], whom: tuple[str, ...]
) -> None:
    assert read_feedback(report(**more)) == Feedback("complaint", whom)


def test_it_is_read_where_only_its_text_came_through() -> None:
    text = "An abuse report.\n\nFeedback-Type: abuse\nOriginal-Rcpt-To: kim@acme.example\n\nthe rest"
    assert read_feedback(text) == Feedback("complaint", ("kim@acme.example",))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Please stop.",
        "What feedback-type: do you want?",
        report().replace("Feedback-Type", "Another-Field"),
        "x" * (MOST + 10) + "\nFeedback-Type: abuse\n",
    ],
)
def test_other_mail_is_none(text: str) -> None:
    assert read_feedback(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "Feedback-Type: abuse\n" * 1_000,
        "Content-Type: multipart/report; boundary=b\n\n" + "--b\n" * 5_000 + "\nFeedback-Type: abuse\n",
        report(fields="Original-Rcpt-To: " + "a" * 100_000),
        report(to=", ".join(f"p{n}@acme.example" for n in range(500))),
        report().replace("--b1--", ""),
        "\ud800\nFeedback-Type: abuse",
        "\x00Feedback-Type: abuse\x00",
    ],
)
def test_whatever_comes_it_ends_within_bounds(text: str) -> None:
    found = read_feedback(text)
    assert found is None or (found.meaning == "complaint" and len(found.recipients) <= 10)
