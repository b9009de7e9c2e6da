"""Bounces: which kind a code is, and who bounced, out of reports as mail servers write them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.bounce import MOST, MOST_RECIPIENTS, Bounce, kind_of, read_report, worst

MIME = """\
From: MAILER-DAEMON@mx.sender.example
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="B1"

--B1
Content-Type: text/plain

I could not deliver your message. 4.0.0 is not the reason.

--B1
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.sender.example
Arrival-Date: Mon, 23 Nov 2026 10:00:00 +0000

Final-Recipient: rfc822; Kim@Acme.example
Action: failed
Status: 5.0.0
Diagnostic-Code: smtp; 550 5.1.1 <kim@acme.example>: Recipient address
    rejected: User unknown

Final-Recipient: rfc822;full@acme.example
Action: failed
Status: 5.2.2

Final-Recipient: rfc822;slow@acme.example
Action: delayed
Status: 4.4.1

Final-Recipient: rfc822;fine@acme.example
Action: delivered
Status: 2.0.0

--B1
Content-Type: message/rfc822

From: me@sender.example
Subject: Status: 5.1.1
Final-Recipient: rfc822; victim@acme.example
Status: 5.1.1

Hello
--B1--
"""
POSTFIX = """\
This is the mail system at host mx.sender.example.

<kim@acme.example>: host mx.acme.example[192.0.2.5] said: 550 5.1.1
    <kim@acme.example>: Recipient address rejected: User unknown in virtual
    mailbox table (in reply to RCPT TO command)
"""
EXCHANGE = """\
Your message to kim@acme.example couldn't be delivered.
kim wasn't found at acme.example.
Remote Server returned '550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient kim@acme.example not found by SMTP
address lookup'
"""
GMAIL = """\
Address not found
Your message wasn't delivered to kim@acme.example because the address couldn't be found, or is unable to receive mail.
The response was:
550 5.1.1 The email account that you tried to reach does not exist.
"""
QMAIL = """\
Hi. This is the qmail-send program at mx.sender.example.
<kim@acme.example>:
Sorry, no mailbox here by that name. (#5.1.1)
"""
EXIM = """\
A message that you sent could not be delivered to one or more of its recipients.
  kim@acme.example
    host mx.acme.example [192.0.2.5]
    SMTP error from remote mail server after RCPT TO:<kim@acme.example>:
    550 No such user here
"""
POLICY = """\
550 5.7.1 Our system has detected that this message is likely unsolicited mail. User unknown to us has been blocked.
"""


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("5.1.1", "hard"),
        ("5.1.2", "hard"),
        ("5.1.10", "hard"),
        ("5.2.1", "hard"),
        ("5.4.4", "hard"),
        ("5.2.2", "soft"),
        ("5.3.4", "soft"),
        ("5.6.1", "soft"),
        ("4.1.1", "soft"),
        ("4.7.1", "soft"),
        ("5.7.1", "unknown"),
        ("5.7.515", "unknown"),
        ("5.0.0", "unknown"),
        ("5.3.0", "unknown"),
        ("5.5.0", "unknown"),
        ("5.1.7", "unknown"),
        ("5.99.99", "unknown"),
        ("", "unknown"),
    ],
)
def test_a_code_is_a_kind_by_the_table(status: str, kind: str) -> None:
    assert kind_of(status) == kind


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("550 No such user here", "hard"),
        ("550 5.0.0 user unknown", "hard"),
        ("550 mailbox is full", "soft"),
        ("452 quota exceeded", "soft"),
        ("421 try again later", "soft"),
        ("554 message rejected due to content: unknown user is spam", "unknown"),
        ("something went wrong", "unknown"),
    ],
)
def test_words_tell_where_no_code_does(words: str, kind: str) -> None:
    assert kind_of("5.0.0", words) == kind


def test_a_refusal_for_policy_is_never_a_dead_address_whatever_it_says() -> None:
    assert kind_of("5.7.1", "550 5.7.1 no such user") == "unknown"
    assert kind_of("5.7.13", "mailbox full") == "unknown"


@pytest.mark.parametrize(
    ("text", "kind", "status"),
    [
        (POSTFIX, "hard", "5.1.1"),
        (EXCHANGE, "hard", "5.1.10"),
        (GMAIL, "hard", "5.1.1"),
        (QMAIL, "hard", "5.1.1"),
        (EXIM, "hard", ""),
        (POLICY, "unknown", "5.7.1"),
        ("host 5.1.1.4 did not answer in time", "unknown", ""),
        ("version 5.1.1b of the server", "unknown", ""),
        ("", "unknown", ""),
    ],
)
def test_a_report_in_words_is_read_by_its_code(text: str, kind: str, status: str) -> None:
    assert read_report(text) == (Bounce(kind, status),)  # type: ignore[arg-type]  # one of the kinds


def test_a_report_as_mime_names_each_recipient_and_nobody_of_the_mail_that_came_back() -> None:
    assert read_report(MIME) == (
        Bounce("hard", "5.1.1", "kim@acme.example"),
        Bounce("soft", "5.2.2", "full@acme.example"),
        Bounce("soft", "4.4.1", "slow@acme.example"),
    )


def test_fields_in_plain_text_are_read_as_in_a_report() -> None:
    fields = MIME.split("message/delivery-status\n\n")[1].split("--B1")[0]
    assert read_report(f"Not delivered.\n\n{fields}") == read_report(MIME)


def test_what_was_delivered_is_no_bounce() -> None:
    assert read_report("Final-Recipient: rfc822; a@b.example\nAction: relayed\nStatus: 2.0.0\n") == ()


def test_the_most_lasting_kind_counts() -> None:
    assert worst((Bounce("soft"), Bounce("unknown"), Bounce("hard"))) == "hard"
    assert worst((Bounce("soft"), Bounce("unknown"))) == "unknown"
    assert worst((Bounce("soft"),)) == "soft"
    assert worst(()) == "unknown"


def test_a_report_is_read_within_bounds() -> None:
    block = "Final-Recipient: rfc822; a@b.example\nAction: failed\nStatus: 5.1.1\n\n"
    assert len(read_report(block * 100_000)) == MOST_RECIPIENTS
    assert read_report("x" * MOST + block) == (Bounce("unknown"),)


def test_a_message_nested_without_end_is_a_bounce_of_an_unknown_kind() -> None:
    nested = "".join(
        f"Content-Type: multipart/mixed; boundary=b{depth}\n\n--b{depth}\n" for depth in range(5_000)
    )
    assert read_report(f"From: a@b.example\n{nested}")[0].kind == "unknown"


LINES = st.lists(
    st.one_of(
        st.text(max_size=60),
        st.sampled_from(
            [
                *MIME.splitlines(),
                *POSTFIX.splitlines(),
                "Content-Type: message/delivery-status",
                "Content-Type: multipart/mixed; boundary=B1",
            ]
        ),
    ),
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(LINES)
def test_no_text_makes_it_fail(lines: list[str]) -> None:
    for bounce in read_report("\n".join(lines)):
        assert bounce.kind in {"hard", "soft", "unknown"}


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="5.1 0-#unkow:@<>\r\n\ud800", max_size=400))
def test_nor_does_text_that_looks_like_codes(text: str) -> None:
    assert read_report(text)
