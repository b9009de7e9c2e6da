"""Deliberate breaks of the safety kernel, one at a time: the tests must notice each.

    make mutants                     all of them; prints who survived, exit status 1 if anybody did
    make mutants ARGS="claim gate"   those of these files

Each is made in a copy of the tree, so an interrupted run leaves nothing behind. A break that no longer fits the code
is told as stale: mend it. Which there are stands in `tools/breaks.py`, also which change nothing anybody could notice.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tools.breaks import EQUIVALENT, MUTANTS, Mutant

ROOT = Path(__file__).parent.parent
COPIED = ("shared", "servers", "orchestrator", "tests", "config", "docs", "tools", "pyproject.toml")
USUAL = ("tests/shared/test_gate.py", "tests/simulation/test_interleavings.py")
ONCE = ("-k", "not postgresql")  # the rules are the same on both databases
PLAIN = ("-q", "-n", "0", "-x", "-p", "no:cacheprovider")
PATIENCE = 600  # seconds for one break
# The quickest that should notice, by file; `USUAL` comes after them.
SHARED = "tests/shared"
TESTS: dict[str, tuple[str, ...]] = {
    "admission": (
        "tests/orchestrator/test_attempts.py",
        f"{SHARED}/test_breaker.py",
        f"{SHARED}/test_http.py",
        "tests/scenarios/test_storm.py",
    ),
    "approval": (f"{SHARED}/test_approval.py", "tests/orchestrator/test_review.py"),
    "claim": (
        f"{SHARED}/test_gate.py",
        f"{SHARED}/test_approval.py",
        f"{SHARED}/test_budgets.py",
        "tests/orchestrator/test_safe_mode.py",
    ),
    "doubt": (f"{SHARED}/test_gate.py", "tests/contract/test_doubts.py"),
    "gate": (f"{SHARED}/test_gate.py", f"{SHARED}/test_http.py", "tests/scenarios/test_thousand_queued.py"),
    "http": (f"{SHARED}/test_http.py", "tests/scenarios/test_storm.py"),
    "ledger": (f"{SHARED}/test_ledger.py",),
    "settlement": (f"{SHARED}/test_ledger.py", f"{SHARED}/test_gate.py", f"{SHARED}/test_budgets.py"),
    "suppression": (f"{SHARED}/test_suppression.py",),
    "switches": (f"{SHARED}/test_switches.py", f"{SHARED}/test_halts.py", "tests/scenarios/test_disk.py"),
}


def main(names: Sequence[str]) -> int:
    """Break, run the tests, tell. Returns the exit status."""
    chosen = [one for one in MUTANTS if not names or one.file in names]
    survived, stale = [], []
    with _copy() as tree:
        for one in chosen:
            if _source(tree, one).count(one.old) != 1:
                stale.append(one.name)
            elif not _noticed(tree, one):
                survived.append(one.name)
    argued = [name for name in survived if name in EQUIVALENT]
    print(
        f"\n{len(chosen)} breaks: {len(chosen) - len(survived) - len(stale)} noticed, {len(argued)} make no difference"
    )
    wrong = [f"survived: {name}" for name in survived if name not in EQUIVALENT]
    wrong += [f"stale: {name}" for name in stale]
    print("\n".join(wrong))
    return int(bool(wrong))


def _noticed(tree: Path, one: Mutant) -> bool:
    """Whether a test fails on it; tells which."""
    target = tree / "shared" / f"{one.file}.py"
    whole = _source(tree, one)
    target.write_text(whole.replace(one.old, one.new), encoding="utf-8")
    began = time.monotonic()
    try:
        by = next(_failing(tree, one), "")
    finally:
        target.write_text(whole, encoding="utf-8")
    print(f"{time.monotonic() - began:5.0f} s  {'' if by else 'SURVIVED  '}{one.name}  {by}", flush=True)
    return bool(by)


def _failing(tree: Path, one: Mutant) -> Iterator[str]:
    """The first test that notices; file by file, the likeliest first."""
    for tests in dict.fromkeys((*TESTS.get(one.file, ()), *USUAL)):
        command = (sys.executable, "-m", "pytest", *PLAIN, *ONCE, tests)
        try:
            done = subprocess.run(
                command, cwd=tree, capture_output=True, text=True, timeout=PATIENCE, check=False
            )
        except subprocess.TimeoutExpired:
            yield f"{tests} never ended"
            continue
        if done.returncode:
            told = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
            yield (told or [f"{tests} ended with {done.returncode}"])[0].split(" - ")[0]


def _source(tree: Path, one: Mutant) -> str:
    return (tree / "shared" / f"{one.file}.py").read_text(encoding="utf-8")


class _copy:  # noqa: N801 - used as a verb
    """A copy of the tree, gone afterwards."""

    def __enter__(self) -> Path:
        self.folder = tempfile.TemporaryDirectory(prefix="mutants-")
        tree = Path(self.folder.name)
        for name in COPIED:
            source = ROOT / name
            copy = shutil.copytree if source.is_dir() else shutil.copy2
            copy(source, tree / name)
        return tree

    def __exit__(self, *_: object) -> None:
        self.folder.cleanup()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
