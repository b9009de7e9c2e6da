"""Whom an answer names: one person per address, in what they wrote now, and no name made of markup."""

import time

import pytest

from orchestrator.colleagues import MOST, Named, people_in

JANE = "jane.doe@corp1.com"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (f"I'm not the right person. Please write to my colleague Jane Doe, {JANE}", (JANE, "Jane", "Doe")),
        ("Try Nina Falk (nina.falk@oak.example).", ("nina.falk@oak.example", "Nina", "Falk")),
        ("Jane Doe, Head of Ops, JANE@Corp.com", ("jane@corp.com", "Jane", "Doe")),
        ("Bob Ray <b.r@corp.com> decides", ("b.r@corp.com", "Bob", "Ray")),
        ("wenden Sie sich an Herrn Kunze (kunze@werk.example)", ("kunze@werk.example", "", "Kunze")),
        ("ma collègue Amélie s'en occupe : amelie@val.example", ("amelie@val.example", "Amélie", "")),
        ("the procurement team: procurement@mirabel.example", ("procurement@mirabel.example", "", "")),
        ("Talk to Jane, she runs this", ("", "Jane", "")),
        ("decisions like this are made by Deirdre Quinn.", ("", "Deirdre", "Quinn")),
        ("adressez-vous à M. Garnier", ("", "", "Garnier")),
    ],
)
def test_who_is_named_is_read_out_of_an_answer(text: str, named: tuple[str, str, str]) -> None:
    assert people_in(text) == (Named(*named),)


@pytest.mark.parametrize(
    "text",
    [
        "Wrong person, I do payroll.",
        "Talk to our VP Sales about that.",
        "contact Procurement",
        "ask HR",
        "jane@cоrp.com",  # a Cyrillic o
        "a@b or @corp.com or jane@",
        "Not me.\n\nOn Mon, Alex wrote:\n> write to jane@corp.com",
        '<p>Not me<span style="display:none">write to jane@corp.com</span></p>',
    ],
)
def test_nobody_is_read_out_of_what_names_nobody(text: str) -> None:
    assert people_in(text) == ()


ANNA = Named("anna.kunze@corp.example", "Anna", "Kunze")


@pytest.mark.parametrize(
    "written",
    [
        "Anna <script>alert(1)</script> Kunze, anna.kunze@corp.example",
        "Anna <script>Mallory Evil, mallory@evil.example</script> Kunze, anna.kunze@corp.example",
        "Anna &lt;script&gt;alert(1)&lt;/script&gt; Kunze, anna.kunze@corp.example",
        "Anna <script src=x onerror=Alert> Kunze, anna.kunze@corp.example",
        "Anna </Script> Kunze, anna.kunze@corp.example",
        "Anna <!-- Peter Pan --> Kunze, anna.kunze@corp.example",
        "Anna <o:p></o:p>Kunze <mailto:anna.kunze@corp.example>",
        "<b>Anna</b> Kunze <anna.kunze@corp.example>",
        "<b>Anna</b> <i>Kunze</i>, anna.kunze@corp.example",
        '<img alt="Mallory Evil mallory@evil.example"> Anna Kunze, anna.kunze@corp.example',
        "<x y='Mallory > Evil mallory@evil.example'>Anna Kunze</x>, anna.kunze@corp.example",
        'Anna Kunze <a href="mailto:mallory@evil.example">anna.kunze@corp.example</a>',
        "An\u200bna Kun\u200bze, anna.\u200bkunze@corp.example",
        "An&#8203;na Kun&#x200b;ze, anna.kunze@corp.example",
        "Anna&nbsp;Kunze, anna.kunze@corp.example",
        "Anna\u00a0 Kunze, anna.kunze@corp.example",
        "Anna\nKunze, anna.kunze@corp.example",
        "Anna about this: anna.kunze@corp.example. Please ask Anna Kunze",
        "Anna Kunze: anna.kunze@corp.example, or at home anna@home.example",
    ],
)
def test_what_is_left_of_markup_makes_no_name_and_no_second_person(written: str) -> None:
    assert people_in(f"Please talk to {written}") == (ANNA,)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("Talk to Anna <script>alert(1)</script> Kunze", [("", "Anna", "Kunze")]),
        ("Talk to Anna Kunze. Ask Anna. Ask Mrs Kunze.", [("", "Anna", "Kunze")]),
        ("Talk to <Anna> Kunze", [("", "Kunze", "")]),  # what stands in brackets may be markup
        ("Talk to <script>Alert Me</script>", []),
        ("Talk to <script>alert(1) Kunze, kunze@corp.com", [("kunze@corp.com", "Kunze", "")]),
        ("Talk to Anna Kunze: x17@corp.com", [("x17@corp.com", "Anna", "Kunze")]),
        ("Talk to Anna Kunze, her address is ak17@corp.com", [("ak17@corp.com", "Anna", "Kunze")]),
        ("Talk to Jane or write to sales@corp.com", [("sales@corp.com", "", ""), ("", "Jane", "")]),
        ("Talk to Hans Rau or mail hr@corp.com", [("hr@corp.com", "", ""), ("", "Hans", "Rau")]),
        (
            "Talk to Anna <i>Kunze <a.k@corp.com> or <b>Bob Ray</b> <b.r@corp.com>",
            [("a.k@corp.com", "Anna", "Kunze"), ("b.r@corp.com", "Bob", "Ray")],
        ),
    ],
)
def test_a_name_and_the_address_made_of_it_are_one_person(
    text: str, named: list[tuple[str, str, str]]
) -> None:
    assert people_in(text) == tuple(Named(*one) for one in named)


@pytest.mark.parametrize(
    "piece",
    [
        "A",
        "Aa ",
        "a@",
        "ask Bob ",
        " ",
        "<script>",
        "    <!--",
        "<a ",
        '<x "<x" ',
        "<x '",
        "\u00a0",
        "<b>",
        "&lt;x&gt;",
        "ask Bob Ray a@b.co ",
    ],
)
def test_a_text_made_to_be_slow_names_people_in_bounded_time(piece: str) -> None:
    before = time.process_time()
    assert len(people_in(piece * (40_000 // len(piece)))) <= MOST
    assert time.process_time() - before < 2


def test_no_more_than_a_few_people_are_named_by_one_answer() -> None:
    assert len(people_in("write to " + ", ".join(f"p{n}@corp.com" for n in range(40)))) == MOST
