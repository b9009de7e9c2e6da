"""Every gate but the tests, one after the other, each with its time; `--tests` runs the tests last.

All of them run even if one fails, so that one look shows everything. The exit status is 1 if anything failed.
"""

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent

GATES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("format", ("ruff", "format", "--check", "--output-format", "concise", ".")),
    ("lint", ("ruff", "check", "--quiet", "--output-format", "concise", ".")),
    ("types", ("mypy", "--no-error-summary")),
    ("imports", ("lint-imports", "--no-logo")),
    ("sizes", ("python", "tools/check_sizes.py")),
    ("docs", ("python", "tools/generate_docs.py", "--check")),
)
TESTS = ("python", "-m", "pytest", "-q")


def main(arguments: list[str]) -> int:
    """Run them; returns the exit status."""
    failed = [name for name, command in GATES if not passes(name, command)]
    print(f"\ngates: {'all passed' if not failed else 'FAILED: ' + ', '.join(failed)}\n", flush=True)
    tests = run(TESTS) if "--tests" in arguments else 0
    return int(bool(failed) or tests != 0)


def passes(name: str, command: tuple[str, ...]) -> bool:
    """Run one gate, show its line, and its output if it failed."""
    started = time.perf_counter()
    print(f"{name:<8} … ", end="", flush=True)
    done = subprocess.run(
        executable(command), cwd=ROOT, capture_output=True, text=True, errors="replace", check=False
    )
    took = time.perf_counter() - started
    print(f"{'ok' if done.returncode == 0 else 'FAILED'}  {took:.1f} s", flush=True)
    if done.returncode:
        print("    " + (done.stdout + done.stderr).strip().replace("\n", "\n    "), flush=True)
    return done.returncode == 0


def run(command: tuple[str, ...]) -> int:
    """Run with its output shown as it comes."""
    return subprocess.run(executable(command), cwd=ROOT, check=False).returncode


def executable(command: tuple[str, ...]) -> list[str]:
    """The command from the same environment as this Python."""
    return [sys.executable if command[0] == "python" else str(BIN / command[0]), *command[1:]]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
