"""Do-not-contact lists in and out: whatever made them, line by line, and nobody lost without being told."""

import csv
import io
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import lists, stops
from orchestrator.intake import know_as, write_lead
from orchestrator.list_rows import LONGEST_LINE, Problem, Reading, plain, safe
from orchestrator.rules import load_rules
from shared.clock import iso
from shared.kernel import Kernel
from shared.pipeline_schema import campaign_lead
from shared.pipeline_schema import stop as stop_table
from shared.schema import suppression as table
from shared.settings import Settings
from shared.suppression import Listed
from tests.conftest import CONFIG
from tests.shared.world import kinds, opened
from tests.waiting import put_campaign, somebody

ROOT = Path(__file__).parent.parent.parent
Make = Callable[..., Settings]
SAID = lists.Said("imported", "test", "Ada")
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


async def taken(kernel: Kernel, content: str | bytes, name: str = "list.csv") -> lists.Taken:
    raw = content if isinstance(content, bytes) else content.encode()
    return await lists.take_in(kernel, io.BytesIO(raw), name, SAID)


async def on_list(kernel: Kernel, *asked: str) -> list[bool]:
    refused = await kernel.suppression.refused(asked)
    return [refused.get(one) == "suppressed" for one in asked]


@pytest.fixture
def reading(kernel: Kernel) -> Reading:
    suppression = kernel.suppression
    return Reading("imported", "test", NOW, suppression.proof, suppression.keys_for)


# ── what lists look like ─────────────────────────────────────────────────────────────────────────────────
@pytest.mark.requirement("U9")
@pytest.mark.parametrize(
    "content",
    [
        "jane@corp.com\njoe@corp.com\n",
        "jane@corp.com\r\njoe@corp.com",
        "\ufeffjane@corp.com\njoe@corp.com\n",
        "# our list\n\n jane@corp.com \n<joe@corp.com>\n",
        "Email,Reason\njane@corp.com,unsubscribed\njoe@corp.com,bounced\n",
        "First Name;E-Mail;Date\nJane;Jane@Corp.com;2025-01-31\nJoe;JOE@corp.com;gone\n",
        "name\temail\nJane\tjane@corp.com\nJoe\tjoe@corp.com\n",
        '"email","note"\n"jane@corp.com","said ""no"", twice"\n"joe@corp.com",""\n',
        "Jane Doe,jane@corp.com,left\nJoe,joe@corp.com\n",
        "id,bl_value,is_domain\n1,jane@corp.com,false\n2,joe@corp.com,false\n",
        "jane@corp.com\njoe@corp.com\n".encode("utf-16"),
        "email\njane@corp.com\njoe@corp.com\n".encode("utf-16-le").join([b"\xff\xfe", b""]),
        "email,name\njane@corp.com,J\xe4ne\njoe@corp.com,Jo\xeb\n".encode("cp1252"),
    ],
)
async def test_everybody_on_a_list_is_stopped_whatever_made_it(kernel: Kernel, content: str | bytes) -> None:
    done = await taken(kernel, content)
    assert (done.new, done.bad) == (2, 0), done
    assert await on_list(kernel, "jane@corp.com", "joe@corp.com", "ann@corp.com") == [True, True, False]


@pytest.mark.requirement("U9", "U6")
async def test_domains_stop_their_companies_and_those_of_everybody_do_not(kernel: Kernel) -> None:
    done = await taken(kernel, "domain\ncorp.com\ngmail.com\nco.uk\nother.com\n")
    assert (done.new, done.bad) == (2, 2)
    assert done.problems == [
        "line 3: a free-mail domain belongs to everyone; suppress single addresses instead",
        "line 4: expected an e-mail address or a domain",
    ]
    assert await on_list(kernel, "a@corp.com", "b@x.other.com", "c@gmail.com") == [True, True, False]


@pytest.mark.requirement("U9")
async def test_good_lines_go_on_and_bad_ones_are_kept_with_their_number(kernel: Kernel) -> None:
    content = b"email,reason\njane@corp.com,x\nnot an address,y\n\x00\x00,z\n=cmd|' /C calc'!A0,q\n,\njoe@corp.com,x\n"
    content += b"ann@corp.com; bob@corp.com,x\n" + b"x" * 50_000 + b"\neve@corp.com,x\n"
    done = await taken(kernel, content, "../../evil name?.csv")
    assert (done.new, done.bad, done.lines) == (3, 6, 9)
    assert await on_list(kernel, "jane@corp.com", "joe@corp.com", "eve@corp.com") == [True] * 3
    rows = rows_of(Path(done.quarantine_file), kernel.settings.home / "quarantine")
    assert [row["line"] for row in rows] == ["3", "4", "5", "6", "8", "9"]
    assert rows[0]["text"] == "not an address,y"
    assert rows[2]["text"].startswith("'=cmd")
    assert all(row["problem"] for row in rows)
    assert max(len(row["text"]) for row in rows) <= LONGEST_LINE


def rows_of(kept: Path, folder: Path) -> list[dict[str, str]]:
    assert kept.parent == folder
    assert kept.stat().st_mode & 0o077 == 0
    with kept.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.requirement("U9", "F18")
async def test_a_quote_that_is_never_closed_costs_its_own_line(kernel: Kernel) -> None:
    done = await taken(kernel, 'email,note\njane@corp.com,"never closed\njoe@corp.com,x\nann@corp.com,x\n')
    assert done.new == 3


@pytest.mark.requirement("U9")
async def test_taking_it_in_twice_changes_nothing(kernel: Kernel) -> None:
    content = "".join(f"p{n}@corp{n}.com\n" for n in range(2_500))
    first, again = await taken(kernel, content), await taken(kernel, content)
    assert (first.new, first.known) == (2_500, 0)
    assert (again.new, again.known) == (0, 2_500)
    assert (await kinds(kernel)).count("suppression.imported") == 3, "one entry for each thousand"
    assert await kernel.suppression.count() == 2_500


async def test_who_stands_on_a_list_twice_is_counted_once(kernel: Kernel) -> None:
    done = await taken(kernel, "jane@corp.com\nJANE@corp.com\njane@corp.com.\njane+x@corp.com\n")
    assert (done.new, done.known) == (2, 2), "another tag is another entry of the same person"


async def test_reason_source_and_time_are_the_lists_own_and_never_ahead(kernel: Kernel) -> None:
    await taken(
        kernel,
        "email,reason,source,date\na@corp.com,complained,Instantly,2025-01-31T10:00:00+02:00\n"
        "b@corp.com,,,2025-02-01\nc@corp.com,x,y,2999-01-01\nd@corp.com,x,y,yesterday\n",
    )
    found = [await kernel.suppression.find(f"{name}@corp.com") for name in "abcd"]
    assert [(one.reason, one.source, one.at[:13]) for one in found if one][:2] == [
        ("complained", "Instantly", "2025-01-31T08"),
        ("imported", "test", "2025-02-01T00"),
    ]
    assert all(one and one.at <= kernel.clock.now().isoformat(timespec="microseconds") for one in found)


@given(st.binary(max_size=400))
def test_any_bytes_are_lines(raw: bytes) -> None:
    seen = list(lists.lines(io.BytesIO(raw)))
    assert [number for number, _ in seen] == list(range(1, len(seen) + 1))


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_line_is_a_row_a_problem_or_nothing(first: str, second: str) -> None:
    made = Reading("r", "s", NOW, b"p" * 17, lambda target: (target.encode("utf-8", "replace"),))
    for number, line in enumerate((first, second), 1):
        row = made.row(number, line)
        assert row is None or isinstance(row, Listed | Problem)


@given(st.text(max_size=50))
def test_a_cell_is_never_a_formula_and_reads_back(text: str) -> None:
    assert not safe(text).startswith(("=", "+", "-", "@", "\t", "\r", "\0"))
    if not text.startswith("'"):
        assert plain(safe(text)) == text


@pytest.mark.requirement("U9", "F18")
def test_a_million_lines_stay_within_little_memory(tmp_path: Path) -> None:
    """Measured in a process of its own; also lines without an end."""
    program = """
import io, resource, sys
from orchestrator.lists import lines, _rows
from orchestrator.intake import know_as, write_lead
from orchestrator.list_rows import Reading
from datetime import UTC, datetime
reading = Reading("r", "s", datetime.now(UTC), b"p" * 17, lambda target: (target.encode(),))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with open(sys.argv[1], "rb") as file:
    count = sum(1 for _ in _rows(lines(file), reading))
print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    file = tmp_path / "long.csv"
    with file.open("wb") as out:
        for start in range(0, 1_000_000, 10_000):
            out.write(b"".join(b"p%d@corp.com,because\n" % n for n in range(start, start + 10_000)))
        out.write(b"x" * 60_000_000 + b"\n" + b"last@corp.com,\n")
    done = subprocess.run(
        [sys.executable, "-c", program, str(file)], capture_output=True, text=True, check=True, cwd=ROOT
    )
    count, grown = map(int, done.stdout.split())
    assert count == 1_000_002
    assert grown < 64 * 1_024, f"grew by {grown} KiB"


# ── our own export ───────────────────────────────────────────────────────────────────────────────────────
async def exported(kernel: Kernel) -> str:
    return "".join([text async for _, text in lists.export(kernel)])


@pytest.mark.both_databases
@pytest.mark.requirement("U9", "U5")
async def test_what_was_exported_is_taken_in_by_an_installation_with_the_same_key(
    settings_for: Make, tmp_path: Path
) -> None:
    async with opened(settings_for()) as kernel:
        for n in range(30):
            await kernel.suppression.add(f"p{n}@corp{n}.example", reason="=opted out", source="test")
        await kernel.suppression.add("other.example", reason="opt_out", source="test")
        await kernel.suppression.lift("p0@corp0.example", actor="Ada", reason="x")
        text = await exported(kernel)
        assert "corp" not in text.replace("kernel", "")
        rows = list(csv.reader(io.StringIO(text)))
        assert rows[0] == ["kind", "hash", "reason", "source", "at"]
        assert len(rows) == 2 + 29 * 2 + 1
        assert rows[2][2] == "'=opted out"
        again = await taken(kernel, text)
        assert (again.new, again.known, again.bad) == (0, 59, 0)
        await kernel.store.write(
            lambda c: c.execute(sa.delete(table).where(table.c.reason != "proof of the key")).rowcount
        )
        fresh = await taken(kernel, text)
        assert (fresh.new, fresh.bad) == (59, 0)
        assert await on_list(kernel, "P7+x@corp7.example", "a@other.example", "p0@corp0.example") == [
            True,
            True,
            False,
        ]
        found = await kernel.suppression.find("p7@corp7.example")
        assert found is not None
        assert (found.reason, found.source) == ("=opted out", "test")


@pytest.mark.requirement("U9", "U5")
async def test_an_export_of_another_key_is_refused_line_by_line(kernel: Kernel) -> None:
    await kernel.suppression.add("jane@corp.com", reason="x", source="y")
    text = await exported(kernel)
    foreign = text.replace(kernel.suppression.proof[1:].hex(), "ab" * 16)
    unproven = "\n".join(line for line in text.splitlines() if not line.startswith("proof"))
    for other in (foreign, unproven):
        done = await taken(kernel, other)
        assert (done.new, done.known, done.bad) == (0, 0, 2)
        assert "another key" in done.problems[0]


@pytest.mark.parametrize("row", ["exact,zz,r,s,", "exact,abcd,r,s,", "other,{},r,s,", ",,,,"])
async def test_a_row_of_an_export_that_is_no_entry_is_kept(kernel: Kernel, row: str) -> None:
    text = await exported(kernel) + row.format("ab" * 16) + "\n"
    assert (await taken(kernel, text)).bad == 1


# ── whoever runs in a campaign ───────────────────────────────────────────────────────────────────────────
def states(connection: sa.Connection) -> Iterator[tuple[str, str]]:
    rows = connection.execute(
        sa.select(campaign_lead.c.email, campaign_lead.c.state).order_by(campaign_lead.c.email)
    )
    return ((row.email, row.state) for row in rows)


@pytest.mark.requirement("U9", "U10", "F15")
async def test_whoever_is_on_the_list_leaves_the_campaigns_they_run_in(kernel: Kernel) -> None:
    people = [somebody(n) for n in range(1, 6)]
    await put_campaign(kernel, load_rules(CONFIG), people)
    done = await taken(kernel, "Person1+x@CORP1.com\ncorp3.com\nelse@where.com\n")
    assert (done.new, done.stopped) == (3, 2)
    found = dict(await kernel.store.read(lambda c: list(states(c))))
    assert {email for email, state in found.items() if state == "stopped"} == {
        "person1@corp1.com",
        "person3@corp3.com",
    }
    open_ones = sa.select(stop_table.c.target).where(stop_table.c.state == "open")
    assert len(await kernel.store.read(lambda c: list(c.execute(open_ones)))) == 2
    assert (await taken(kernel, "person1@corp1.com\n")).stopped == 0


@pytest.mark.requirement("I4", "U8")
async def test_an_opt_out_holds_for_an_address_that_is_learnt_of_later(kernel: Kernel) -> None:
    """Two leads turn out to be one person: whoever opted out at one address did so at the other."""

    jane, joe = somebody(1, email="jane@corp.com"), somebody(2, email="joe@corp.com")

    def know(connection: sa.Connection) -> None:
        for one, others in (
            (jane, ("jane@private.example", "jd@corp.com")),
            (joe, ("joe@elsewhere.example",)),
        ):
            write_lead(connection, one, iso(NOW))
            know_as(connection, one.id, [f"email:{other}" for other in others])

    await kernel.store.write(know)
    await kernel.suppression.add("jane@private.example", reason="unsubscribed", source="reply")
    await kernel.suppression.add("joe@corp.com", reason="bounced", source="instantly")

    def follow(connection: sa.Connection) -> int:
        return stops.follow_in(kernel, connection, [jane.id, joe.id, "nobody"])

    assert await kernel.store.write(follow) == 2
    assert await on_list(kernel, "jane@corp.com", "jd@corp.com", "joe@elsewhere.example") == [
        True,
        True,
        False,
    ]
    assert await kernel.store.write(follow) == 0
    await kernel.suppression.add("joe@corp.com", reason="unsubscribed", source="link")
    assert await kernel.store.write(follow) == 1, "an opt-out after a bounce is one, too"
    assert await on_list(kernel, "joe@elsewhere.example") == [True]


@pytest.mark.requirement("F22", "U6")
async def test_the_third_opt_out_of_a_company_holds_all_of_it_and_takes_its_people_out(
    kernel: Kernel,
) -> None:
    people = [
        somebody(1, email=f"{name}@corp1.com", id=f"{n:032x}", linkedin_url="")
        for n, name in enumerate("abcd")
    ]
    await put_campaign(kernel, load_rules(CONFIG), people)
    for name in "abc":
        await stops.suppress(kernel, f"{name}@corp1.com", reason="unsubscribed", source="reply")
    found = dict(await kernel.store.read(lambda c: list(states(c))))
    assert set(found.values()) == {"stopped"}
    assert await on_list(kernel, "anybody@sub.corp1.com") == [True]
    why = await kernel.suppression.find("corp1.com")
    assert why is not None
    assert (why.reason, why.source) == ("several people there opted out", "rule")
