"""Addresses as identities: what is the same person, what is not, and what is a trick."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.address import (
    LONGEST_LOCAL,
    PLAIN,
    ascii_domain,
    is_public_suffix,
    is_sendable,
    read_address,
    registrable,
)
from shared.errors import Invalid

SAME = [
    ("user@example.com", "User@EXAMPLE.com"),
    ("user@example.com", " user@example.com\r\n"),
    ("user@example.com", "user@example.com."),
    ("user@example.com", "Some One <user@example.com>"),
    ("user@example.com", '"evil@other.example" <user@example.com>'),
    ("user@example.com", '"Evil <evil@other.example>" <user@example.com>'),
    ("user@example.com", "mailto:user@example.com"),
    ("user@example.com", "MAILTO:user%40example.com?subject=remove%20me"),
    ("user@example.com", "us\u200ber@exam\u00adple.com"),
    ("user@example.com", "\u202auser@example.com\u202c"),
    ("user@example.com", "ｕｓｅｒ＠ｅｘａｍｐｌｅ．ｃｏｍ"),
    ("user@example.com", "user@example。com"),
    ("user@example.com", "'user@example.com'"),
    ("user@example.com", "user@example.com,"),
    ("user@example.com", "(user@example.com)"),
    ("user@example.com", "[user@example.com]"),
    ("user@example.com", "user@example.com (Some One)"),
    ("user@example.com", "Some One [mailto:user@example.com]"),
    ("user@example.com", "user@example.com<mailto:user@example.com>"),
    ("user@example.com", "user%40example.com"),
    ("user@example.com", "us\x00er@exam\tple.com"),
    ("user@example.com", "user @ example.com"),
    ("user@example.com", "user@example.com\U000e0041"),
    ("user@example.com", "us\u0085er@example.com"),
    ("user@example.com", "\ufeffuser@example.com"),
    ("user@example.com", ";user@example.com;"),
    ("user@bücher.example", "user@xn--bcher-kva.example"),
    ("user@bücher.example", "user@BÜCHER.example"),
    ("ren\u00e9@example.com", "rene\u0301@example.com"),
    ('"john"@example.com', "john@example.com"),
    ('"jo\\hn"@example.com', "john@example.com"),
    ("what?ever@example.com", "What?ever@example.com"),
    ("o'brien@example.com", "O'Brien@example.com"),
]
SAME_PERSON = [
    ("jane+news@corp.example", "jane@corp.example"),
    ("first.last@gmail.com", "firstlast@googlemail.com"),
    ("First.Last+x@GMAIL.com", "firstlast@gmail.com"),
]
DIFFERENT = [
    ("j.smith@corp.example", "jsmith@corp.example"),
    ("j.smith@outlook.com", "jsmith@outlook.com"),
    ("user@mail.example.com", "user@example.com"),
    ("user@example.com", "user@example.org"),
    ("user@strasse.de", "user@straße.de"),
    ('"john smith"@example.com', "johnsmith@example.com"),
    ("mary-ann@yahoo.com", "mary@yahoo.com"),
    ("user%other.example@example.com", "user@other.example"),
    ("info@example.com", "jane@example.com"),
    ("раypal@example.com", "paypal@example.com"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_one_mailbox_however_it_is_written(one: str, other: str) -> None:
    assert read_address(one).exact == read_address(other).exact


@pytest.mark.parametrize(("one", "other"), SAME_PERSON)
def test_one_person_behind_tags_and_dots(one: str, other: str) -> None:
    assert read_address(one).broad == read_address(other).broad
    assert read_address(one).exact != read_address(other).exact


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_different_people_stay_different(one: str, other: str) -> None:
    first, second = read_address(one), read_address(other)
    assert {first.exact, first.broad}.isdisjoint({second.exact, second.broad})


@pytest.mark.parametrize(
    "text",
    [
        "раypal@example.com",  # Cyrillic р and а among Latin letters
        "user@раypal.com",
        "user@xn--ypal-43d9g.com",  # the same, as it travels
        "user@аррӏе.com",  # nothing but Cyrillic letters that look Latin
        "user@xn--80ak6aa92e.com",
        "ехес@corp.example",
        "jane@gοogle.com",  # Greek omicron
    ],
)
def test_a_look_alike_is_recognised(text: str) -> None:
    assert read_address(text).look_alike


@pytest.mark.parametrize(
    "text",
    [
        "jane@example.com",
        "müller@bücher.de",
        "иван@почта.рф",
        "user@сор.рф",
        "李@例え.jp",
        "o'brien@x.ie",
        "жанна@corp.ru",
    ],
)
def test_an_honest_address_of_any_script_is_no_look_alike(text: str) -> None:
    assert not read_address(text).look_alike


@pytest.mark.parametrize(
    "text",
    [
        "jane@corp.com, joe@corp.com",
        "jane@corp.com;joe@corp.com",
        "jane doe@corp.com",
        "",
        "@",
        "jane",
        "jane@",
        "@example.com",
        "jane@exa mple.com",
        "jane@-",
        "a@" + "b" * 400,
        "x" * 5_000,
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        read_address(text)


@pytest.mark.parametrize(
    "text",
    [
        "jane@corp.com",
        "Jane.O'Hara+x@mail.corp.co.uk",
        "müller@bücher.de",
        "李@例え.jp",
        "a@xn--bcher-kva.example",
    ],
)
def test_nothing_but_an_address_may_be_sent_to(text: str) -> None:
    assert is_sendable(text)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "jane",
            "@corp.com",
            "jane@",
            "jane@corp",
            "jane @corp.com",
            "jane@corp.com ",
            "jane@corp.com.",
        ),
        *(
            "Jane <jane@corp.com>",
            "mailto:jane@corp.com",
            '"john smith"@corp.com',
            "jane@corp.com\n",
            "a@b@c.com",
        ),
        *("jane..doe@corp.com", ".jane@corp.com", "jane@-corp.com", "jane@corp..com", "x" * 65 + "@corp.com"),
        *(
            "ja\u200bne@corp.com",
            "ｊane@corp.com",
            "jane@corp.com, joe@corp.com",
            "'jane@corp.com'",
            "jane@cörp.com.",
        ),
        *("jane@" + "a" * 64 + ".com", "jane@" + "a." * 127 + "com", "jäne doe@corp.com", "jäne@x@corp.com"),
    ],
)
def test_what_is_more_or_less_than_an_address_is_not_sent_to(text: str) -> None:
    assert not is_sendable(text)


@given(st.from_regex(PLAIN, fullmatch=True) | st.emails() | st.text(max_size=90).map("{0}@corp.com".format))
def test_a_plain_address_may_be_sent_to_unless_it_is_long(text: str) -> None:
    try:
        address = read_address(text)
    except Invalid:
        assume(False)
    if address.plain:
        assert is_sendable(text) == (len(address.local) <= LONGEST_LOCAL)


@given(st.from_regex(PLAIN, fullmatch=True))
def test_the_short_way_leads_where_the_long_one_does(text: str) -> None:
    try:
        short = read_address(text)
    except Invalid:
        return
    long = read_address(f"<{text}>")
    assert (short.exact, short.look_alike) == (long.exact, long.look_alike)


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        address = read_address(text)
    except Invalid:
        return
    assert address.local
    assert address.domain.isascii()


@given(st.emails())
def test_reading_an_address_twice_changes_nothing(text: str) -> None:
    try:
        once = read_address(text)
    except Invalid:
        return
    assert read_address(once.exact).exact == once.exact


def test_the_registrable_domain_is_the_one_somebody_registered() -> None:
    domains = ["mail.corp.co.uk", "corp.co.uk", "a.b.example.com", "someone.github.io"]
    assert [registrable(d) for d in domains] == [
        "corp.co.uk",
        "corp.co.uk",
        "example.com",
        "someone.github.io",
    ]


def test_a_public_suffix_is_nobodys() -> None:
    assert [is_public_suffix(d) for d in ("co.uk", "com", "corp.co.uk")] == [True, True, False]


def test_a_domain_becomes_ascii() -> None:
    assert ascii_domain("BÜCHER.example") == "xn--bcher-kva.example"
    with pytest.raises(Invalid):
        ascii_domain("exa mple.com")
