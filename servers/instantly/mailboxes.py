"""Sending accounts with their health: connected or not, how warming up goes, what bounced lately."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from servers.instantly.account import Instantly
from servers.instantly.views import Mailbox, MailboxPage, mailbox_view, number_of, text_of
from shared.errors import SwarmError

DAYS = 7
TOO_LARGE = 413
Figures = Mapping[str, tuple[int, int]]  # sent and bounced, by mailbox


async def list_mailboxes(instantly: Instantly, cursor: str) -> MailboxPage:
    """A page of them. Figures that can't be had are told in `missing`; they keep no mailbox from being listed."""
    page = await instantly.api.mailboxes(cursor)
    emails = [email for account in page.items if (email := text_of(account, "email"))]
    missing: list[str] = []
    warmup: Mapping[str, Any] = {}
    days: Figures = {}
    if emails:
        try:
            warmup = await instantly.api.warmup(emails)
        except SwarmError as error:
            missing.append(f"health_score: {error.code}")
        try:
            days = await _days(instantly, emails)
        except SwarmError as error:
            missing.append(f"sent_lately, bounced_lately: {error.code}")
    boxes = tuple(_with_figures(account, warmup, days) for account in page.items)
    return MailboxPage(boxes, page.cursor, "; ".join(missing))


def _with_figures(account: Mapping[str, Any], warmup: Mapping[str, Any], days: Figures) -> Mailbox:
    email = text_of(account, "email")
    warm = warmup.get(email)
    health = number_of(warm, "health_score") if isinstance(warm, Mapping) else -1
    sent, bounced = days.get(email, (-1, -1))
    return mailbox_view(account, health, sent, bounced)


async def _days(instantly: Instantly, emails: Sequence[str]) -> Figures:
    """Messages sent and bounced in the last days; in halves where Instantly finds the question too large."""
    today = instantly.clock.now().date()
    first = (today - timedelta(days=DAYS - 1)).isoformat()
    try:
        rows = await instantly.api.mailbox_days(emails, first, today.isoformat())
    except SwarmError as error:
        if error.status != TOO_LARGE or len(emails) == 1:
            raise
        middle = len(emails) // 2
        return {
            **await _days(instantly, emails[:middle]),
            **await _days(instantly, emails[middle:]),
        }
    sums = dict.fromkeys(emails, (0, 0))
    for row in rows:
        box = text_of(row, "email_account")
        sent, bounced = sums.get(box, (0, 0))
        sums[box] = (sent + number_of(row, "sent", 0), bounced + number_of(row, "bounced", 0))
    return sums
