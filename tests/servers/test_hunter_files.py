"""Files of people, good and bad: good rows go on, bad ones are named and kept, and memory stays bounded."""

import csv
import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from servers.hunter.files import read_page
from servers.hunter.numbers import headcount, money
from shared.errors import Invalid
from shared.ports import LeadPage, SourcedLead

HEADER = "name,company,title,linkedin_url,email\n"
MEBIBYTE = 1024 * 1024


def row(number: int, name: str = "Ava Webb", company: str = "Corp", title: str = "CRO") -> str:
    url = f"https://www.linkedin.com/in/ava-{number}"
    return f"{name},{company},{title},{url},ava{number}@corp.example\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "quarantine"


def pages(path: Path, folder: Path, limit: int = 500) -> Iterator[LeadPage]:
    page = read_page(path, "", limit, folder)
    yield page
    while page.next_cursor:
        page = read_page(path, page.next_cursor, limit, folder)
        yield page


def whole(path: Path, folder: Path, limit: int = 500) -> tuple[list[SourcedLead], list[tuple[int, str]]]:
    leads: list[SourcedLead] = []
    bad: list[tuple[int, str]] = []
    for page in pages(path, folder, limit):
        leads += page.leads
        bad += [(one.line, one.reason) for one in page.quarantined]
    return leads, bad


def written(tmp_path: Path, content: str | bytes, name: str = "people.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


CONNECTIONS = (
    "Notes:\n"
    '"When exporting your connection data, you may notice that some addresses are missing."\n'
    "\n"
    "First Name,Last Name,URL,Email Address,Company,Position,Connected On\n"
    "Ava,Webb,https://www.linkedin.com/in/ava-webb,,Northwind Robotics,VP of Sales,12 Mar 2024\n"
    "Jürgen,Müller,https://www.linkedin.com/in/juergen,j@b.example,Bluepeak,CRO,01 Jan 2023\n"
)


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_linkedins_own_connections_are_read_behind_their_notes(
    tmp_path: Path, folder: Path, mark: str
) -> None:
    leads, bad = whole(written(tmp_path, mark + CONNECTIONS), folder)
    assert bad == []
    assert [(lead.first_name, lead.company, lead.title, lead.line) for lead in leads] == [
        ("Ava", "Northwind Robotics", "VP of Sales", 5),
        ("Jürgen", "Bluepeak", "CRO", 6),
    ]
    assert {(lead.source_type, lead.action) for lead in leads} == {("connection", "connected")}


def test_a_sales_navigator_export_gives_the_profile_among_three_addresses(
    tmp_path: Path, folder: Path
) -> None:
    content = (
        "profileUrl,fullName,companyName,title,companyUrl,regularCompanyUrl,industry,location,connectionDegree,"
        "linkedInProfileUrl,query,timestamp,defaultProfileUrl\n"
        "https://www.linkedin.com/sales/lead/ACwAA1,Ava Webb,Corp,CRO,https://www.linkedin.com/sales/company/1,"
        "https://www.linkedin.com/company/corp,Software,Austin,2nd,https://www.linkedin.com/sales/lead/ACwAA1,"
        "https://www.linkedin.com/sales/search/1,2026-01-01T00:00:00Z,https://www.linkedin.com/in/ACoAA1\n"
    )
    leads, bad = whole(written(tmp_path, content), folder)
    assert bad == []
    assert leads[0].linkedin_url == "https://www.linkedin.com/in/ACoAA1"
    assert (leads[0].company_url, leads[0].connection_degree) == ("https://www.linkedin.com/company/corp", 2)


def test_a_hand_made_file_may_name_its_columns_freely_and_tell_the_company(
    tmp_path: Path, folder: Path
) -> None:
    content = (
        "Full Name;Work E-mail;Employees;Annual Revenue;Industry;Country;Phone;Source Type\n"
        "Ava Webb;ava@corp.example;51-200;$12.5M;SaaS;US;+1 512 555 0100;event attendee\n"
    )
    leads, bad = whole(written(tmp_path, content), folder)
    assert bad == []
    lead = leads[0]
    assert (lead.company_size, lead.revenue_usd, lead.phone) == (125, 12_500_000, "+1 512 555 0100")
    assert (lead.source_type, lead.country) == ("event_attendee", "US")


@pytest.mark.parametrize(
    ("word", "verdict"),
    [("Valid", "deliverable"), ("catch-all", "accept_all"), ("invalid", "undeliverable"), ("new word", "")],
)
def test_what_an_export_says_of_an_address_is_said_in_our_words(
    tmp_path: Path, folder: Path, word: str, verdict: str
) -> None:
    leads, _ = whole(written(tmp_path, f"email,email_status\na@b.example,{word}\n"), folder)
    assert [lead.email_verdict for lead in leads] == [verdict]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_every_usual_encoding_is_read(tmp_path: Path, folder: Path, encoding: str) -> None:
    content = (HEADER + row(1, "Jürgen Müller") + row(2, "Zoë")).encode(encoding)
    leads, bad = whole(written(tmp_path, content), folder, limit=1)
    assert bad == []
    assert [lead.full_name for lead in leads] == ["Jürgen Müller", "Zoë"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_line_end_is_read(tmp_path: Path, folder: Path, end: str) -> None:
    content = (HEADER + row(1) + row(2)).replace("\n", end)
    leads, bad = whole(written(tmp_path, content), folder, limit=1)
    assert bad == []
    assert [lead.line for lead in leads] == [2, 3]


def test_a_line_in_another_encoding_is_quarantined_alone(tmp_path: Path, folder: Path) -> None:
    content = (HEADER + row(1, "Zoë") + row(2, "Renée")).encode()
    content += row(3, "J\xfcrgen").encode("latin-1") + row(4).encode()
    leads, bad = whole(written(tmp_path, content), folder)
    assert [lead.line for lead in leads] == [2, 3, 5]
    assert bad == [(4, "not in the file's encoding")]


def test_a_row_with_nul_bytes_is_quarantined(tmp_path: Path, folder: Path) -> None:
    leads, bad = whole(written(tmp_path, HEADER + row(1) + row(2, "A\0va") + row(3)), folder)
    assert [lead.line for lead in leads] == [2, 4]
    assert bad == [(3, "holds NUL bytes")]


def test_a_quote_that_is_never_closed_costs_one_line(tmp_path: Path, folder: Path) -> None:
    content = HEADER + row(1) + row(2, '"Ava') + "".join(row(n) for n in range(3, 300))
    leads, bad = whole(written(tmp_path, content), folder)
    assert [lead.line for lead in leads] == [2, *range(4, 301)]
    assert bad == [(3, "a quote is never closed, or stands inside a cell")]


def test_a_quote_that_swallows_a_quoted_row_costs_one_line(tmp_path: Path, folder: Path) -> None:
    content = HEADER + row(1, '"Ava') + row(2, '"Webb, Ava"') + row(3)
    leads, bad = whole(written(tmp_path, content), folder)
    assert [(lead.line, lead.full_name) for lead in leads] == [(3, "Webb, Ava"), (4, "Ava Webb")]
    assert [line for line, _ in bad] == [2]


def test_a_cell_may_span_lines(tmp_path: Path, folder: Path) -> None:
    content = 'email,comment,name\nava@corp.example,"one\ntwo, three",Ava\nbo@corp.example,x,Bo\n'
    leads, bad = whole(written(tmp_path, content), folder, limit=1)
    assert bad == []
    assert [(lead.line, lead.text) for lead in leads] == [(2, "one\ntwo, three"), (4, "x")]


@pytest.mark.parametrize("cell", ["=HYPERLINK(1)", "+1", "-2+3", "@SUM(A1)", "\tx", " =1"])
@pytest.mark.parametrize("column", ["name", "company", "title"])
def test_a_formula_where_a_name_should_be_is_quarantined(
    tmp_path: Path, folder: Path, cell: str, column: str
) -> None:
    leads, bad = whole(written(tmp_path, HEADER + row(1, **{column: cell}) + row(2)), folder)
    assert [lead.line for lead in leads] == [3]
    assert bad[0][0] == 2
    assert bad[0][1].startswith("a formula in ")


def test_a_phone_with_its_plus_is_no_formula(tmp_path: Path, folder: Path) -> None:
    leads, bad = whole(written(tmp_path, "email,phone\na@b.example,+49 30 1234567\n"), folder)
    assert (bad, leads[0].phone) == ([], "+49 30 1234567")


def test_a_ten_megabyte_cell_is_quarantined_and_reading_goes_on(tmp_path: Path, folder: Path) -> None:
    content = HEADER + row(1) + row(2, "x" * (10 * MEBIBYTE)) + row(3) + row(4, "y" * 200_000) + row(5)
    leads, bad = whole(written(tmp_path, content), folder)
    assert [lead.line for lead in leads] == [2, 4, 6]
    assert [line for line, _ in bad] == [3, 5]
    assert bad[0][1] == "longer than 1,000,000 bytes"


def test_a_column_that_occurs_twice_gives_its_first_filled_cell(tmp_path: Path, folder: Path) -> None:
    leads, bad = whole(written(tmp_path, "email,email,name\n,a@b.example,Ava\nc@d.example,,Bo\n"), folder)
    assert (bad, [lead.email for lead in leads]) == ([], ["a@b.example", "c@d.example"])


def test_a_header_in_the_middle_is_quarantined(tmp_path: Path, folder: Path) -> None:
    leads, bad = whole(written(tmp_path, HEADER + row(1) + HEADER + row(2)), folder)
    assert (len(leads), bad) == (2, [(3, "the header again")])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("Ava,Corp,CRO\n", "3 columns where the header has 5"),
        (row(1).strip() + ",more\n", "6 columns where the header has 5"),
        ("Ava,Corp,CRO,,\n", "neither a LinkedIn profile address nor an e-mail address"),
        (
            "Ava,Corp,CRO,https://corp.example,ava at corp\n",
            "neither a LinkedIn profile address nor an e-mail address",
        ),
        (row(1, "n" * 501), "full_name is longer than 500 characters"),
    ],
)
def test_a_row_that_tells_nobody_is_quarantined(tmp_path: Path, folder: Path, line: str, reason: str) -> None:
    leads, bad = whole(written(tmp_path, HEADER + line + row(2)), folder)
    assert (len(leads), bad) == (1, [(2, reason)])


@pytest.mark.parametrize("content", ["", "name,company\nAva,Corp\n", "\n" * 100, "\0" * 5000])
def test_a_file_without_a_column_that_identifies_is_refused_with_what_is_expected(
    tmp_path: Path, folder: Path, content: str
) -> None:
    with pytest.raises(Invalid, match="LinkedIn profile column") as raised:
        read_page(written(tmp_path, content), "", 500, folder)
    assert raised.value.field == "path"


def test_a_header_alone_is_an_empty_file(tmp_path: Path, folder: Path) -> None:
    page = read_page(written(tmp_path, HEADER), "", 500, folder)
    assert (page.leads, page.quarantined, page.next_cursor) == ((), (), "")
    assert page.message == "The file has a header and no rows."


def test_a_hundred_thousand_columns_are_refused(tmp_path: Path, folder: Path) -> None:
    content = "email" + ",c" * 100_000 + "\n"
    with pytest.raises(Invalid, match="1,000 columns"):
        read_page(written(tmp_path, content), "", 500, folder)


def test_a_row_of_a_hundred_thousand_columns_is_quarantined(tmp_path: Path, folder: Path) -> None:
    leads, bad = whole(written(tmp_path, HEADER + "x," * 100_000 + "\n" + row(1)), folder)
    assert len(leads) == 1
    assert bad[0][0] == 2


@pytest.mark.parametrize("limit", [1, 2, 7, 500])
def test_pages_of_any_size_give_the_same_rows(tmp_path: Path, folder: Path, limit: int) -> None:
    content = HEADER + "".join(row(n, '"Ava' if n % 5 == 0 else "Ava") for n in range(1, 40))
    leads, bad = whole(written(tmp_path, content), folder, limit)
    assert [lead.line for lead in leads] == [n + 1 for n in range(1, 40) if n % 5]
    assert [line for line, _ in bad] == [6, 11, 16, 21, 26, 31, 36]


@pytest.mark.parametrize("cursor", ["x", "1", "5:", "-1:2", "99999999:2", "0:1", "٣:٤"])
def test_a_cursor_that_is_not_ours_is_refused(tmp_path: Path, folder: Path, cursor: str) -> None:
    with pytest.raises(Invalid) as raised:
        read_page(written(tmp_path, HEADER + row(1)), cursor, 500, folder)
    assert raised.value.field == "cursor"


@pytest.mark.parametrize("kind", ["link", "folder", "pipe", "missing"])
def test_only_a_regular_file_is_opened(tmp_path: Path, folder: Path, kind: str) -> None:
    path = tmp_path / "odd.csv"
    if kind == "link":
        path.symlink_to(written(tmp_path, HEADER + row(1)))
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    with pytest.raises(Invalid):
        read_page(path, "", 500, folder)


def kept(folder: Path) -> list[list[str]]:
    (path,) = folder.iterdir()
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_bad_rows_are_kept_with_line_and_reason_and_nothing_a_spreadsheet_runs(
    tmp_path: Path, folder: Path
) -> None:
    content = HEADER + row(1) + row(2, "=cmd()") + row(3, "A\0va") + "=1+1\n" + row(5)
    page = read_page(written(tmp_path, content), "", 500, folder)
    header, *rows = kept(folder)
    assert header == ["line", "reason", "row"]
    assert [(line, text[:5]) for line, _, text in rows] == [("3", "'=cmd"), ("4", "A\\x00"), ("5", "'=1+1")]
    assert page.quarantine_file == str(next(folder.iterdir()))
    assert Path(page.quarantine_file).stat().st_mode & 0o777 == 0o600


def test_a_page_read_twice_keeps_its_bad_rows_once(tmp_path: Path, folder: Path) -> None:
    content = HEADER + "".join(row(n, "=x") for n in range(1, 8))
    path = written(tmp_path, content)
    first = read_page(path, "", 3, folder)
    for _ in range(2):
        read_page(path, first.next_cursor, 3, folder)
    assert [line for line, *_ in kept(folder)[1:]] == ["2", "3", "4", "5", "6", "7"]
    read_page(path, "", 3, folder)
    assert [line for line, *_ in kept(folder)[1:]] == ["2", "3", "4"]


def test_a_long_bad_row_is_kept_cut(tmp_path: Path, folder: Path) -> None:
    read_page(written(tmp_path, HEADER + "x" * (2 * MEBIBYTE)), "", 500, folder)
    assert len(kept(folder)[1][2]) == 2_001


def test_memory_stays_bounded_whatever_the_file(tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "large.csv"
    with path.open("w") as file:
        file.write("email,comment\n")
        for number in range(50):
            file.write(f"a{number}@corp.example,{'x' * 900_000}\n")
        file.write('"' + "y" * (20 * MEBIBYTE) + "\nlast@corp.example,z\n")
    assert path.stat().st_size > 60 * MEBIBYTE
    tracemalloc.start()
    try:
        found = [(len(page.leads), len(page.quarantined)) for page in pages(path, folder)]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(good for good, _ in found) == 1
    assert sum(bad for _, bad in found) == 51
    assert peak < 32 * MEBIBYTE


def test_a_page_ends_before_an_answer_would_be_cut(tmp_path: Path, folder: Path) -> None:
    content = HEADER + "".join(row(n, title="t" * 400) for n in range(200))
    sizes = [len(page.leads) for page in pages(written(tmp_path, content), folder)]
    assert sum(sizes) == 200
    assert max(sizes) < 24


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("51-200", 125),
        ("51–200 employees", 125),
        ("1,200+", 1200),
        ("10001+", 10001),
        ("1k-5k", 3000),
        ("125.0", 125),
        ("200 members", 200),
        ("", 0),
        ("many", 0),
        ("9" * 50, 0),
    ],
)
def test_head_counts_are_read_as_people_write_them(text: str, number: int) -> None:
    assert headcount(text) == number


@pytest.mark.parametrize(
    ("text", "dollars"),
    [
        ("$12.5M", 12_500_000),
        ("$10M - $50M", 30_000_000),
        ("12,500,000", 12_500_000),
        ("1.2 billion", 1_200_000_000),
        ("USD 750k", 750_000),
        ("undisclosed", 0),
    ],
)
def test_revenues_are_read_as_people_write_them(text: str, dollars: int) -> None:
    assert money(text) == dollars
