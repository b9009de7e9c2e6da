"""Bad input is told where it lies and what is expected; the good part goes on, and nothing starts half-configured."""

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from shared.remote import environment
from shared.settings import Settings
from tests.journeys.journey import CONFIG, ROOT

HEADER = "Email,First Name,Last Name,Company"
GOOD = ("ava@corp.example,Ava,Ng,Corp", "cy@corp.example,Cy,Silva,Corp")
NOTES = 'Notes:\n"When exporting your connection data, you may notice that some addresses are missing."\n\n'
TEN_MEGABYTES = 10_000_000
MEMORY_MB = 64


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
    """Run the command line in a process of its own, on a home that does not exist yet."""
    variables = {"SWARM_HOME": str(folder / "home"), "SWARM_CONFIG": str(config), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "orchestrator.cli", *arguments]
    with (folder / "out").open("w+b") as out, (folder / "err").open("w+b") as err:
        child = subprocess.Popen(
            command, env={"PATH": os.environ["PATH"], **variables}, cwd=folder, stdout=out, stderr=err
        )
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    told = [(folder / name).read_text(encoding="utf-8") for name in ("out", "err")]
    return Ended(child.returncode, *told, peak_mb=used.ru_maxrss / 1024)


def imported(folder: Path, raw: bytes) -> Ended:
    """`swarm import FILE --json` of a file with these bytes."""
    path = folder / "people.csv"
    path.write_bytes(raw)
    return swarm(folder, "import", str(path), "--json")


def lines(*rows: str) -> str:
    """A file with our header."""
    return "\n".join((HEADER, *rows)) + "\n"


# ── files ────────────────────────────────────────────────────────────────────────────────────────────────
TEXT = lines(*GOOD, "zoe@corp.example,Zoë,Müller,Café")
ALL_GOOD = {
    "cp1252": TEXT.encode("cp1252"),
    "utf-16 with a mark": TEXT.encode("utf-16"),
    "utf-16 without a mark": TEXT.encode("utf-16-le"),
    "utf-8 with a mark": TEXT.encode("utf-8-sig"),
    "notes before the header": (NOTES + TEXT).encode("utf-8-sig"),
    "a column twice": TEXT.replace(HEADER, f"{HEADER},Company").replace("\n", ",\n", 1).encode()
    if False
    else "\n".join(f"{line},Again" for line in TEXT.splitlines()).encode(),
}
