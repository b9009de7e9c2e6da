"""The size budget: median function ≤ 8 lines, none above 50; no file above 400; no name that says nothing.

A function is measured from its `def` to its end without its docstring; one that is only a signature (in a
protocol) isn't counted. Prints a table; the exit status is 1 if anything is over.
"""

import ast
import re
import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("shared", "servers", "orchestrator", "tools")
MEDIAN_FUNCTION, LONGEST_FUNCTION, LONGEST_FILE = 8, 50, 400
GENERATED = ("shared/migrations/versions",)
NAMELESS_FILE = re.compile(r"^(utils?|helpers?|common|base|misc)$")
NAMELESS_CLASS = re.compile(r"(Manager|Handler|Processor|Helper|Utils?)$")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Measured:
    """One source file."""

    path: str
    lines: int
    functions: tuple[tuple[str, int, int], ...]  # name, line, length
    problems: tuple[str, ...]


def main() -> int:
    """Measure, print, complain; returns the exit status."""
    files = [measure(path) for path in sources()]
    print(table(files))
    problems = [problem for file in files for problem in (*file.problems, *over(file))] + medians(files)
    print("\n".join(problems))
    return int(bool(problems))


def sources() -> Iterator[Path]:
    """Every source file that the budget is for."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if not path.relative_to(ROOT).as_posix().startswith(GENERATED):
                yield path


def measure(path: Path) -> Measured:
    """Lengths and names of one file."""
    text = path.read_text(encoding="utf-8")
    where = path.relative_to(ROOT).as_posix()
    found = list(ast.walk(ast.parse(text)))
    functions = tuple(
        (node.name, node.lineno, length(node)) for node in found if isinstance(node, Function) and says(node)
    )
    return Measured(where, len(text.splitlines()), functions, tuple(names(where, found)))


def names(where: str, nodes: list[ast.AST]) -> Iterator[str]:
    """File, folder and class names that say nothing."""
    for part in Path(where).with_suffix("").parts:
        if NAMELESS_FILE.match(part):
            yield f"{where}: the name {part!r} says nothing; name it by its noun"
    for node in nodes:
        if isinstance(node, ast.ClassDef) and NAMELESS_CLASS.search(node.name):
            yield f"{where}:{node.lineno}: the name {node.name!r} says nothing; name it by its noun"


def docstring(function: Function) -> ast.stmt | None:
    """The statement that is its docstring."""
    return function.body[0] if ast.get_docstring(function, clean=False) is not None else None


def says(function: Function) -> bool:
    """Whether it has a body: a protocol's method is only a signature."""
    body = [statement for statement in function.body if statement is not docstring(function)]
    return any(not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant)) for s in body)


def length(function: Function) -> int:
    """Lines from `def` to the end, its docstring left out."""
    whole = (function.end_lineno or function.lineno) - function.lineno + 1
    text = docstring(function)
    return whole - ((text.end_lineno or text.lineno) - text.lineno + 1 if text else 0)


def over(file: Measured) -> Iterator[str]:
    """What in one file is above the budget."""
    if file.lines > LONGEST_FILE:
        yield f"{file.path}: {file.lines} lines; the budget is {LONGEST_FILE}"
    for name, line, size in file.functions:
        if size > LONGEST_FUNCTION:
            yield f"{file.path}:{line}: {name} has {size} lines; the budget is {LONGEST_FUNCTION}"


def medians(files: list[Measured]) -> list[str]:
    """The one number over all functions."""
    median = statistics.median([size for file in files for _, _, size in file.functions] or [0])
    if median <= MEDIAN_FUNCTION:
        return []
    return [f"the median function has {median:g} lines; the budget is {MEDIAN_FUNCTION}"]


def table(files: list[Measured]) -> str:
    """One line per package, and all of them."""
    left = f"{'package':<14}{'files':>7}{'lines':>8}{'median':>8}{'longest':>9}"
    rows = [f"{left}  │{'functions':>11}{'median':>8}{'p90':>6}{'longest':>9}"]
    for name in (*PACKAGES, ""):
        chosen = [file for file in files if file.path.startswith(f"{name}/" if name else "")]
        rows.append(row(name or "all", chosen))
    return "\n".join(rows)


def row(name: str, files: list[Measured]) -> str:
    """A line of the table."""
    lines = [file.lines for file in files] or [0]
    sizes = sorted(size for file in files for _, _, size in file.functions) or [0]
    p90 = sizes[min(len(sizes) - 1, round(0.9 * len(sizes)))]
    left = f"{name:<14}{len(files):>7}{sum(lines):>8}{statistics.median(lines):>8g}{max(lines):>9}"
    return f"{left}  │{len(sizes):>11}{statistics.median(sizes):>8g}{p90:>6}{max(sizes):>9}"


if __name__ == "__main__":
    sys.exit(main())
