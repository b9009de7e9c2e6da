"""How slowly a mailbox begins: by its age, by so much a day, one row younger after a halt."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.rampup import allowance, mails
from shared.sending_rules import Mailbox, RampUp, Row

START = date(2026, 3, 2)
RULES = RampUp()


def box(name: str = "alex", stage: int | None = None, started: date = START) -> Mailbox:
    return Mailbox(address=f"{name}@sender.example", started=started, stage=stage)


def on_day(number: int, *, held_back: bool = False, stage: int | None = None, rules: RampUp = RULES) -> int:
    today = START + timedelta(days=number - 1)
    return mails(rules, box(stage=stage), today, held_back=held_back)


@pytest.mark.parametrize(
    ("day", "sent"),
    [
        *((-3, 0), (0, 0), (1, 5), (7, 5), (8, 6), (9, 7), (11, 10), (14, 10), (15, 12), (18, 20), (22, 24)),
        *((24, 30), (28, 30), (29, 35), (400, 35), (40_000, 35)),
    ],
)
def test_a_mailbox_grows_with_its_age(day: int, sent: int) -> None:
    assert on_day(day) == sent


@given(st.integers(2, 400))
def test_it_never_grows_faster_than_a_fifth_a_day(day: int) -> None:
    assert on_day(day - 1) <= on_day(day) <= on_day(day - 1) * 1.2 + 1


@given(st.integers(1, 400))
def test_it_is_never_above_the_row_of_its_age(day: int) -> None:
    due = max(row.mails for row in RULES.table if row.from_day <= day)
    assert on_day(day) <= due


@pytest.mark.parametrize(("day", "sent"), [(1, 5), (8, 5), (14, 5), (18, 10), (28, 20), (60, 30)])
def test_after_a_halt_it_is_one_row_younger(day: int, sent: int) -> None:
    assert on_day(day, held_back=True) == sent


@pytest.mark.parametrize(("stage", "sent", "held_back"), [(1, 5, 5), (2, 10, 5), (5, 35, 30)])
def test_a_stage_holds_it_however_old_it_gets(stage: int, sent: int, held_back: int) -> None:
    assert on_day(300, stage=stage) == sent
    assert on_day(300, stage=stage, held_back=True) == held_back


def test_a_domain_counts_for_three_mailboxes_however_many_send_from_it() -> None:
    old = START - timedelta(days=100)
    here = [box(name, started=old) for name in ("a", "b", "c", "d")]
    there = Mailbox(address="e@Other.example", started=old)
    rules = RampUp(mailboxes=(*here, there, box("new")))
    assert allowance(rules, START) == 3 * 35 + 35


def test_one_that_stands_still_sends_nothing_and_the_others_of_its_domain_no_more_than_they_may() -> None:
    old = START - timedelta(days=100)
    rules = RampUp(mailboxes=tuple(box(name, started=old) for name in ("A", "b", "c", "d")))
    assert allowance(rules, START, silent={"a@sender.example"}) == 3 * 35
    assert allowance(rules, START, silent={"a@sender.example", "b@sender.example"}) == 2 * 35


def test_without_mailboxes_nothing_is_sent() -> None:
    assert allowance(RULES, START) == 0


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"table": [{"from_day": 2, "mails": 5}]}, "day 1"),
        ({"table": []}, "day 1"),
        ({"table": [{"from_day": 1, "mails": 5}, {"from_day": 1, "mails": 6}]}, "rise"),
        ({"table": [{"from_day": 1, "mails": 5}, {"from_day": 8, "mails": 4}]}, "fall"),
        ({"mailboxes": [{"address": "a@x.example", "started": "2026-03-02", "stage": 6}]}, "row"),
        ({"mailboxes": [{"address": "a@x.example", "started": "2026-03-02"}] * 2}, "twice"),
        ({"mailboxes": [{"address": "nobody", "started": "2026-03-02"}]}, "address"),
        ({"mailboxes": [{"address": "a@x.example", "started": "soon"}]}, "started"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(values: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        RampUp.model_validate(values)


def test_the_shipped_table_is_the_default_one() -> None:
    assert [(row.from_day, row.mails) for row in RULES.table] == [
        (1, 5),
        (8, 10),
        (15, 20),
        (22, 30),
        (29, 35),
    ]
    assert Row(from_day=1, mails=1).mails == 1
