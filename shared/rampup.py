"""How many mails a day mailboxes may send by their age: pure, over the table in safety.yaml.

A mailbox begins in the first row and grows towards the row of its age, by so many per cent a day at most. After a halt
for bounces or complaints it counts as one row younger. A domain has the reputation of a few mailboxes, however many
send from it.
"""

from collections.abc import Collection, Iterator
from datetime import date
from itertools import pairwise

from shared.sending_rules import Mailbox, RampUp, Row

SETTLED_DAYS = 60  # after the last row's first day growth is over, whatever the table


def allowance(
    rules: RampUp, today: date, *, held_back: bool = False, silent: Collection[str] = frozenset()
) -> int:
    """Mails that all mailboxes together may send today. `held_back`: there was a halt lately; `silent` send none."""
    by_domain: dict[str, list[int]] = {}
    for mailbox in rules.mailboxes:
        if mailbox.address.lower() in silent:
            continue
        domain = mailbox.address.rpartition("@")[2].lower()
        by_domain.setdefault(domain, []).append(mails(rules, mailbox, today, held_back=held_back))
    return sum(sum(sorted(boxes, reverse=True)[: rules.mailboxes_per_domain]) for boxes in by_domain.values())


def mails(rules: RampUp, mailbox: Mailbox, today: date, *, held_back: bool = False) -> int:
    """Mails that this mailbox may send today; none before it is started."""
    age = (today - mailbox.started).days + 1
    if age < 1:
        return 0
    rows = rules.table[: mailbox.stage] if mailbox.stage else rules.table
    *_, grown = _growth(rows, min(age, rows[-1].from_day + SETTLED_DAYS), rules.growth_percent)
    return min(int(grown), _row_before(rows, age).mails) if held_back else int(grown)


def _growth(rows: tuple[Row, ...], age: int, percent: float) -> Iterator[float]:
    """What it may send on each of its days."""
    grown = float(rows[0].mails)
    for day in range(1, age + 1):
        due = max((row for row in rows if row.from_day <= day), key=lambda row: row.from_day).mails
        grown = min(float(due), grown * (1 + percent / 100)) if day > 1 else grown
        yield grown


def _row_before(table: tuple[Row, ...], age: int) -> Row:
    """The row before the one of this age, or the first."""
    before = table[0]
    for row, following in pairwise(table):
        if following.from_day <= age:
            before = row
    return before
