"""Bad input is told where it lies and what is expected; the good part goes on, and nothing starts half-configured."""

import csv
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from shared.remote import environment
from shared.settings import Settings
from tests.journeys.journey import CONFIG, ROOT

HEADER = "Email,First Name,Last Name,Company"
AVA, CY, ZOE = (
    "ava@corp.example,Ava,Ng,Corp",
    "cy@corp.example,Cy,Silva,Corp",
    "zoe@corp.example,Zoë,Müller,Café",
)
NOTES = 'Notes:\n"When exporting your connection data, you may notice that some addresses are missing."\n\n'
MOST_GROWTH_MB = 64.0
REJECTED = "sk-live-0123456789abcdef"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended. `peak_mb` is the most memory it held."""

    status: int
    out: str
    err: str
    peak_mb: float

    @property
    def report(self) -> dict[str, Any]:
        """What `--json` printed: one document and nothing else."""
        found: dict[str, Any] = json.loads(self.out)
        return found


def swarm(folder: Path, *arguments: str, config: Path = CONFIG) -> Ended:
    """Run the command line in a process of its own, in this folder, on a home that isn't there yet."""
    variables = {"SWARM_HOME": str(folder / "home"), "SWARM_CONFIG": str(config), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "orchestrator.cli", *arguments]
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        child = subprocess.Popen(
            command, env={"PATH": os.environ["PATH"], **variables}, cwd=folder, stdout=out, stderr=err
        )
        _, ended, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(ended)
    out_text, err_text = ((folder / name).read_text(encoding="utf-8") for name in ("out", "err"))
    return Ended(child.returncode, out_text, err_text, used.ru_maxrss / 1024)


def imported(folder: Path, raw: bytes, *options: str) -> Ended:
    """`swarm import` of a file with these bytes."""
    path = folder / "people.csv"
    path.write_bytes(raw)
    return swarm(folder, "import", str(path), *options)


def stored(folder: Path) -> dict[str, dict[str, Any]]:
    """Everybody we know by then, by address."""
    with closing(sqlite3.connect(folder / "home" / "swarm.db")) as database:
        return {email: json.loads(data) for email, data in database.execute("SELECT email, data FROM lead")}


def text(*rows: str, header: str = HEADER) -> str:
    """A file with our header, and these rows from line 2 on."""
    return "\n".join((header, *rows)) + "\n"


# ── files that look odd and are fine ─────────────────────────────────────────────────────────────────────
FINE = {
    "Windows' own encoding": text(AVA, CY, ZOE).encode("cp1252"),
    "UTF-16 with a mark": text(AVA, CY, ZOE).encode("utf-16"),
    "UTF-16 without a mark": text(AVA, CY, ZOE).encode("utf-16-le"),
    "UTF-8 with a mark": text(AVA, CY, ZOE).encode("utf-8-sig"),
    "notes before the header": (NOTES + text(AVA, CY, ZOE)).encode(),
    "a column that stands there twice": text(
        *(f"{row},Other" for row in (AVA, CY, ZOE)), header=f"{HEADER},Company"
    ).encode(),
}


@pytest.mark.parametrize("raw", FINE.values(), ids=FINE)
@pytest.mark.requirement("F18")
def test_an_odd_file_is_read_to_the_letter(raw: bytes, tmp_path: Path) -> None:
    ended = imported(tmp_path, raw, "--json")
    assert (ended.status, ended.report["good"], ended.report["bad"]) == (0, 3, 0)
    zoe = stored(tmp_path)["zoe@corp.example"]
    assert (zoe["first_name"], zoe["last_name"], zoe["company"]) == ("Zoë", "Müller", "Café")


def test_a_file_without_rows_is_no_error_and_both_counts_are_told(tmp_path: Path) -> None:
    ended = imported(tmp_path, text().encode())
    told = " ".join(ended.out.split())
    assert ended.status == 0
    assert "0 rows taken" in told
    assert "0 rows quarantined" in told


# ── files of which a part is bad ─────────────────────────────────────────────────────────────────────────
# What one line holds, and what is told of it. Each stands between two good ones.
BAD_LINES = (
    ('bea@corp.example,"Bea,Rossi,Corp', "a quote is never closed"),
    ("b\0b@corp.example,Bea,Rossi,Corp", "NUL"),
    (f"bea@corp.example,{'x' * 10_000_000},Rossi,Corp", "longer than"),
    ("bea@corp.example,=HYPERLINK(1),Rossi,Corp", "a formula in first_name"),
    ("bea@corp.example,Bea,+cmd|calc,Corp", "a formula in last_name"),
    ("bea@corp.example,Bea", "2 columns where the header has 4"),
    ("bea@corp.example,Bea,Rossi,Corp,more", "5 columns where the header has 4"),
    (HEADER, "the header again"),
    ("nobody,Bea,Rossi,Corp", "neither a LinkedIn profile"),
    (",,,Corp", "neither a LinkedIn profile"),
)


def between_good_ones(bad: Iterable[str]) -> str:
    """A file where every odd line from 3 on is bad."""
    good = (f"person{number}@corp.example,Ava,Ng,Corp" for number in range(1_000))
    return text(*chain.from_iterable(zip(good, bad, strict=False)), AVA)


MIXED = (
    between_good_ones(row for row, _ in BAD_LINES).encode(),
    [(3 + 2 * number, reason) for number, (_, reason) in enumerate(BAD_LINES)],
)
TWO_ENCODINGS = (text(ZOE, CY, ZOE).encode() + ZOE.encode("cp1252"), [(5, "not in the file's encoding")])
BAD = {"one bad line of each kind": MIXED, "a line in another encoding": TWO_ENCODINGS}


@pytest.mark.parametrize(("raw", "expected"), BAD.values(), ids=BAD)
@pytest.mark.requirement("F18")
def test_bad_rows_are_quarantined_by_line_and_the_others_go_on(
    raw: bytes, expected: list[tuple[int, str]], tmp_path: Path
) -> None:
    ended = imported(tmp_path, raw, "--json")
    assert (ended.status, ended.report["bad"]) == (0, len(expected))
    assert ended.report["created"] == len(stored(tmp_path)) >= 2
    assert "bea@corp.example" not in stored(tmp_path)
    for told, (line, reason) in zip(ended.report["problems"], expected, strict=True):
        assert told.startswith(f"line {line}: ")
        assert reason in told
    with Path(ended.report["quarantine_file"]).open(encoding="utf-8", newline="") as file:
        assert [int(row["line"]) for row in csv.DictReader(file)] == [line for line, _ in expected]


def test_a_person_is_told_both_counts_and_where_the_bad_rows_lie(tmp_path: Path) -> None:
    ended = imported(tmp_path, text(AVA, "nobody,Bea,Rossi,Corp", CY).encode())
    told = " ".join(ended.out.split())
    assert "2 rows taken" in told
    assert "1 rows quarantined in" in told
    assert "line 3: neither a LinkedIn profile" in told
    assert list((tmp_path / "home" / "quarantine").iterdir())


NOBODY = {
    "columns that identify nobody": b"Company,Phone\nCorp,+1 512 555 0100\n",
    "an empty file": b"",
    "bytes that are no text": bytes(range(256)) * 40,
}


@pytest.mark.parametrize("raw", NOBODY.values(), ids=NOBODY)
def test_a_file_that_identifies_nobody_is_refused_with_what_it_needs(raw: bytes, tmp_path: Path) -> None:
    ended = imported(tmp_path, raw, "--json")
    error = ended.report["error"]
    assert (ended.status, error["kind"], error["field"]) == (2, "validation", "path")
    assert "Email Address" in error["message"]
    assert "Traceback" not in ended.err


@pytest.mark.requirement("F18")
def test_memory_stays_flat_over_a_file_of_sixty_megabytes(tmp_path: Path) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    small.mkdir()
    large.mkdir()
    header = f"{HEADER},Comment,Remarks"
    with (large / "people.csv").open("w", encoding="utf-8") as file:
        file.write(f"{header}\n")
        for number in range(400):
            person = f"person{number}@corp.example,Ava,Ng,Corp"
            file.write(f"{person},{'x' * 19_000},{'y' * 81_000}\n")
        file.write(f"{'z' * 20_000_000}\n{CY},,\n")
    assert (large / "people.csv").stat().st_size > 60_000_000
    modest = imported(small, text(f"{AVA},,", header=header).encode(), "--json")
    heavy = swarm(large, "import", str(large / "people.csv"), "--json")
    assert (heavy.status, heavy.report["good"], heavy.report["bad"]) == (0, 401, 1)
    assert heavy.peak_mb - modest.peak_mb <= MOST_GROWTH_MB


# ── configuration ────────────────────────────────────────────────────────────────────────────────────────
# file, what stands there, what it is changed to, what is told beside the file and the line
WRONG = {
    "an unknown key in safety.yaml": ("safety.yaml", "kill_switch:", "kil_switch:", "kil_switch"),
    "an impossible number in safety.yaml": (
        "safety.yaml",
        "concurrent_calls: 8",
        "concurrent_calls: 800",
        "less than or equal to 64",
    ),
    "a wrong type in scoring.yaml": ("scoring.yaml", "min_employees: 20", "min_employees: few", "integer"),
    "a key twice in routing.yaml": (
        "routing.yaml",
        "top_score: 95",
        "top_score: 95\ntop_score: 96",
        "second time",
    ),
    "a broken template": ("templates/event_followup.yaml", "variants:", "variant:", "variants"),
    "an impossible number in a vendor's file": ("vendors/ghl.yaml", "retries: 3", "retries: 99", "retries"),
    "an unknown option of a vendor": (
        "vendors/instantly.yaml",
        "leads_per_request: 1000",
        "leads_per_reqest: 500",
        "options.leads_per_reqest",
    ),
    "an impossible option of a vendor": (
        "vendors/phantombuster.yaml",
        "posts_per_launch: 1",
        "posts_per_launch: 99",
        "options.posts_per_launch",
    ),
    "no YAML at all": ("vendors/clay.yaml", "auth: {", "auth: }", "not valid YAML"),
}


@pytest.mark.parametrize(("name", "stands", "becomes", "told"), WRONG.values(), ids=WRONG)
def test_a_wrong_configuration_is_told_by_file_and_line_and_nothing_is_begun(
    name: str, stands: str, becomes: str, told: str, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    shutil.copytree(CONFIG, config)
    before = (config / name).read_text(encoding="utf-8")
    after = before.replace(stands, becomes, 1)
    (config / name).write_text(after, encoding="utf-8")
    (tmp_path / "people.csv").write_text(text(AVA), encoding="utf-8")
    ended = swarm(tmp_path, "research", "--file", "people.csv", "--json", config=config)
    message = ended.report["error"]["message"]
    assert (ended.status, ended.report["error"]["kind"]) == (2, "validation")
    assert f"{config / name}:{changed_line(before, after)}: " in message
    assert told in message
    assert "Traceback" not in ended.err
    assert not (tmp_path / "home").exists()


def changed_line(before: str, after: str) -> int:
    """The first line that differs, or that was there once; from 1."""
    pairs = zip(before.splitlines(), after.splitlines(), strict=False)
    return next(number for number, (old, new) in enumerate(pairs, 1) if old != new)


# ── tools ────────────────────────────────────────────────────────────────────────────────────────────────
WRONG_ARGUMENTS: dict[str, tuple[str, dict[str, Any], str]] = {
    "of a wrong type": ("ghl_find_contacts", {"limit": REJECTED}, "limit"),
    "that is unknown": ("ghl_get_contact", {"email": "ava@corp.example", "api_key": REJECTED}, "api_key"),
    "that is missing": ("ghl_set_dnc", {"reason": REJECTED}, "email"),
    "deep inside": (
        "ghl_upsert_contact",
        {"contact": {"email": "ava@corp.example", "icp_score": REJECTED}},
        "contact.icp_score",
    ),
}


async def test_a_wrong_argument_is_named_to_the_caller_and_its_value_is_not_repeated(
    settings_for: Callable[..., Settings], tmp_path: Path
) -> None:
    env = {"PATH": os.environ["PATH"], **environment(settings_for())}
    command = ["-m", "servers", "ghl", "--toolsets", "all"]
    with (tmp_path / "err").open("w") as err:
        server = StdioServerParameters(command=sys.executable, args=command, env=env, cwd=str(ROOT))
        async with Client(stdio_client(server, errlog=err)) as client:
            for tool, arguments, field in WRONG_ARGUMENTS.values():
                answer = await client.call_tool(tool, arguments)
                whole = answer.model_dump_json()
                assert answer.is_error, tool
                assert answer.structured_content is not None
                assert answer.structured_content["kind"] == "validation"
                assert answer.structured_content["field"] == field
                assert "Traceback" not in whole
                assert REJECTED not in whole
    logged = (tmp_path / "err").read_text(encoding="utf-8")
    assert REJECTED not in logged
    assert "Traceback" not in logged
