"""What import-linter has no words for: who may call what, how a file is made, what the repository holds."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
import yaml

from orchestrator.cli import COMMANDS
from shared.settings import load_settings
from shared.suite import load_server

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ("shared", "servers", "orchestrator")
SOURCES = {
    path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
}

# An emulator plays the vendor, whose time is not ours.
SANDBOXES = ("shared/sandbox.py", "servers/*/sandbox*.py")
MIGRATIONS = ("shared/migrations/*",)

# Dotted call → the files it belongs to.
CALLS: dict[str, tuple[str, ...]] = {
    "datetime.now": ("shared/clock.py", *SANDBOXES),
    "datetime.utcnow": (),
    "datetime.today": (),
    "datetime.datetime.now": ("shared/clock.py", *SANDBOXES),
    "date.today": (),
    "time.time": ("shared/clock.py", *SANDBOXES),
    "time.time_ns": ("shared/clock.py", *SANDBOXES),
    "time.monotonic": ("shared/clock.py", *SANDBOXES),
    "time.perf_counter": ("shared/clock.py", *SANDBOXES),
    "time.sleep": (),
    "asyncio.sleep": ("shared/clock.py", *SANDBOXES),
    "anyio.sleep": ("shared/clock.py", *SANDBOXES),
    "os.getenv": ("shared/settings.py",),
    "Permit": ("shared/gate.py",),
    "gate.Permit": (),
    # Ours, and the durable engine's own.
    "sa.create_engine": ("shared/sqlite.py", "shared/postgres.py", "orchestrator/engine.py"),
    "create_engine": (),
    "create_async_engine": (),
    "yaml.load": (),
    "eval": (),
    "exec": (),
    "print": (),
    # Servers by configured name; mcp, and each command of the command line, only where it is needed.
    "importlib.import_module": ("shared/suite.py", "orchestrator/cli.py", "orchestrator/commands/*.py"),
    "runpy.run_module": ("orchestrator/commands/hosting.py",),  # `swarm serve` becomes `python -m servers`
    "import_module": (),
    "__import__": (),
}
ENVIRONMENT = ("shared/settings.py", "*/__main__.py")

# (file, function) → why it imports where it stands.
IMPORTS_INSIDE: dict[tuple[str, str], str] = {
    ("shared/history.py", "_upgrade"): "what brings an older schema forward costs every start 80 ms",
    ("shared/store.py", "_opened"): "PostgreSQL's driver costs every start on SQLite a tenth of its time",
    ("shared/collector.py", "open_tracing"): "an extra that most installations don't have, and don't need",
}

# Rules and texts: functions of their arguments, which the gate, the network and the database can't reach.
PURE = (
    "orchestrator/scoring.py",
    "orchestrator/rendering.py",
    "orchestrator/compliance.py",
    "orchestrator/campaigns.py",
    "orchestrator/findings.py",
    "orchestrator/forecast.py",
    "orchestrator/strategy.py",
)
IMPURE = re.compile(
    r"^(shared\.(gate|http|kernel|store|suite|remote|server|switches|limits|ledger|presence)|"
    r"sqlalchemy|httpx|anyio|asyncio|dbos|starlette)\b"
)
OTHER_WAYS_OUT = re.compile(r"^(urllib\.request|http\.client|xmlrpc|websockets|asyncio\.open_connection)\b")

# Written apart so that this file isn't found by itself.
REGISTRY_HOST = re.compile(
    "|".join(["py" + r"pi\.org", "pythonhosted" + r"\.org", "npmjs" + r"\.(com|org)", r"jfrog\." + "io"])
)
SOMEBODYS_PATH = re.compile(r"(?<![\w.~$}/-])/" + r"(?:home|root|Users|work|tmp/bash_jobs)" + r"/\w")
TEXT = {
    ".py",
    ".md",
    ".yaml",
    ".yml",
    ".toml",
    ".lock",
    ".json",
    ".sh",
    ".html",
    ".css",
    ".js",
    ".txt",
    ".csv",
    ".cfg",
    "",
}


# ── who may call what ────────────────────────────────────────────────────────────────────────────────────
def dotted(node: ast.AST) -> str:
    """`a.b.c` of a name or an attribute, else an empty string."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (left := dotted(node.value)):
        return f"{left}.{node.attr}"
    return ""


def allowed(where: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(where, pattern) for pattern in patterns)


def found(rule: Callable[[str, ast.AST], bool]) -> list[str]:
    """`file:line` of every node that breaks the rule."""
    return [
        f"{where}:{getattr(node, 'lineno', 1)}"
        for where, tree in SOURCES.items()
        for node in ast.walk(tree)
        if rule(where, node)
    ]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.requirement("G1")
def test_a_call_stands_only_in_the_file_it_belongs_to(call: str) -> None:
    strangers = found(
        lambda where, node: (
            isinstance(node, ast.Call) and dotted(node.func) == call and not allowed(where, CALLS[call])
        )
    )
    assert not strangers, f"{call} belongs to {CALLS[call] or 'no file'}"


def test_time_is_not_imported_by_name_past_the_clock() -> None:
    modules = {"time", "asyncio", "anyio", "os"}
    hidden = {"time", "sleep", "monotonic", "perf_counter", "environ", "getenv"}
    assert not found(
        lambda _, node: (
            isinstance(node, ast.ImportFrom)
            and node.module in modules
            and bool(hidden & {name.name for name in node.names})
        )
    )


def test_only_settings_and_the_entry_points_read_the_environment() -> None:
    assert not found(lambda where, node: dotted(node) == "os.environ" and not allowed(where, ENVIRONMENT))


def imports(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((name.name, node.lineno) for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((f"{node.module}.{name.name}", node.lineno) for name in node.names)


@pytest.mark.requirement("G1")
def test_nothing_but_httpx_reaches_the_network() -> None:
    assert not [
        f"{where}:{line} {name}"
        for where, tree in SOURCES.items()
        for name, line in imports(tree)
        if OTHER_WAYS_OUT.match(name)
    ]


def test_rules_and_texts_can_not_reach_the_gate_the_network_or_the_database() -> None:
    assert not [
        f"{where}:{line} {name}"
        for where in PURE
        for name, line in imports(SOURCES.get(where, ast.Module([], [])))
        if IMPURE.match(name)
    ]


def test_what_the_product_loads_by_name_is_its_own() -> None:
    def foreign(where: str, node: ast.AST) -> bool:
        if not where.startswith("orchestrator/") or not isinstance(node, ast.Call):
            return False
        if dotted(node.func) != "importlib.import_module":
            return False
        return not ast.unparse(node.args[0]).lstrip("f").strip("'\"").startswith("orchestrator.")

    assert not found(foreign)


def test_imports_stand_at_the_top_of_the_file() -> None:
    inside = [
        (where, function.name, node.lineno)
        for where, tree in SOURCES.items()
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert not [place for place in inside if place[:2] not in IMPORTS_INSIDE]


# ── how a file is made ───────────────────────────────────────────────────────────────────────────────────
def test_every_file_opens_with_one_line_that_says_what_it_is() -> None:
    silent = []
    for where, tree in SOURCES.items():
        first = (ast.get_docstring(tree) or "").split("\n")[0]
        if not allowed(where, MIGRATIONS) and not first.rstrip().endswith((".", ":", "?", "!")):
            silent.append(f"{where}: {first!r}")
    assert not silent


def empty(value: ast.AST | None) -> bool:
    """A container with nothing in it: at the top of a module, it is there to be filled."""
    if isinstance(value, ast.List | ast.Set):
        return not value.elts
    if isinstance(value, ast.Dict):
        return not value.keys
    maker = dotted(value.func).split(".")[-1] if isinstance(value, ast.Call) else ""
    if maker in {"list", "dict", "set"}:
        return isinstance(value, ast.Call) and not value.args and not value.keywords
    return maker in {"defaultdict", "deque", "OrderedDict", "Counter", "count"}


def test_no_module_holds_state() -> None:
    holders = [
        f"{where}:{node.lineno}"
        for where, tree in SOURCES.items()
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign) and empty(node.value)
        if not (isinstance(node, ast.AnnAssign) and ast.unparse(node.annotation).startswith("Mapping["))
    ]
    assert not holders + found(lambda _, node: isinstance(node, ast.Global))


def test_every_suppression_carries_its_reason() -> None:
    bare = re.compile(r"#\s*type:\s*ignore(\[[\w\-, ]+\])?\s*$|#\s*noqa(:\s*[A-Z0-9, ]+)?\s*$")
    assert not [
        f"{where}:{number}"
        for where in SOURCES
        for number, line in enumerate((ROOT / where).read_text(encoding="utf-8").splitlines(), 1)
        if bare.search(line)
    ]


def test_no_exception_is_swallowed_in_silence() -> None:
    assert not found(
        lambda _, node: (
            isinstance(node, ast.ExceptHandler) and len(node.body) == 1 and isinstance(node.body[0], ast.Pass)
        )
    )


# ── what the repository holds ────────────────────────────────────────────────────────────────────────────
@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    """Every text file that git has or would take, by its path."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git clone")
    paths = [ROOT / name for name in listed.split("\0") if name]
    return {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for path in paths
        if path.is_file() and path.suffix in TEXT
    }


def test_no_file_names_a_package_registry(texts: dict[str, str]) -> None:
    assert not [name for name, text in texts.items() if REGISTRY_HOST.search(text)]


def test_no_file_names_a_place_on_somebodys_machine(texts: dict[str, str]) -> None:
    assert not [
        f"{name}: {match.group()}" for name, text in texts.items() for match in SOMEBODYS_PATH.finditer(text)
    ]


def locked(name: str) -> dict[str, str]:
    """Package → its block in the lock file."""
    blocks = re.split(r"^(?=[A-Za-z0-9])", (ROOT / name).read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.split(r"[=\s\[]", block)[0]: block for block in blocks if block.strip() and block[0] != "#"}


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-otel.lock", "requirements-dev.lock"])
@pytest.mark.requirement("X9")
def test_every_locked_package_is_pinned_with_hashes(name: str) -> None:
    assert not [
        package
        for package, block in locked(name).items()
        if "==" not in block or "--hash=sha256:" not in block
    ]


@pytest.mark.requirement("X9")
@pytest.mark.parametrize("name", ["requirements.lock", "requirements-otel.lock"])
def test_development_runs_on_the_versions_that_are_shipped(name: str) -> None:
    shipped, tested = locked(name), locked("requirements-dev.lock")
    assert not [p for p, block in shipped.items() if tested.get(p, "").split("\\")[0] != block.split("\\")[0]]


def test_every_dependency_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    for wanted, lock in (
        (project["dependencies"] + extras["build"], "requirements.lock"),
        (extras["otel"], "requirements-otel.lock"),
        (extras["dev"], "requirements-dev.lock"),
    ):
        names = {re.split(r"[^A-Za-z0-9._-]", line)[0].lower() for line in wanted}
        assert not names - locked(lock).keys()


# ── configuration and documents ──────────────────────────────────────────────────────────────────────────
def test_every_vendor_account_has_a_sandbox() -> None:
    modules = load_settings(ROOT / "config", {}).suite.servers
    vendors = [load_server(name, modules) for name in modules if name != "orchestrator"]
    emulated = {account for server in vendors for account in server.sandboxes}
    configured = {path.stem for path in (ROOT / "config" / "vendors").glob("*.yaml")}
    assert emulated == configured


def test_mcp_json_starts_every_configured_server_in_safe_mode() -> None:
    configured = yaml.safe_load((ROOT / "config" / "suite.yaml").read_text(encoding="utf-8"))["servers"]
    entries = json.loads((ROOT / "mcp.json").read_text(encoding="utf-8"))["mcpServers"]
    assert {name: entry["args"] for name, entry in entries.items()} == {
        name: ["-m", "servers", name] for name in configured
    }
    assert {entry["env"]["SAFE_MODE"] for entry in entries.values()} == {"true"}


def documents() -> dict[str, str]:
    paths = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def code(text: str) -> str:
    """What a document shows as code: fenced blocks and spans."""
    return "\n".join(a or b for a, b in re.findall(r"```[a-z]*\n(.*?)```|`([^`\n]+)`", text, flags=re.DOTALL))


def test_every_make_command_in_a_document_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, flags=re.MULTILINE))
    shown = {
        (name, t) for name, text in documents().items() for t in re.findall(r"\bmake ([a-z-]+)", code(text))
    }
    assert shown
    assert not [entry for entry in shown if entry[1] not in targets]


def test_every_swarm_command_in_a_document_exists() -> None:
    shown = {
        (name, command)
        for name, text in documents().items()
        for command in re.findall(r"(?:^|[\s/;])swarm ([a-z][a-z-]*)", code(text), flags=re.MULTILINE)
    }
    assert shown
    assert not [entry for entry in sorted(shown) if entry[1] not in COMMANDS]


def test_the_command_line_lists_what_it_has() -> None:
    run = [sys.executable, "-m", "orchestrator.cli", "--help"]
    helped = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=False)
    assert helped.returncode == 0, helped.stderr[-2_000:]
    assert not [name for name in COMMANDS if not re.search(rf"\b{name}\b", helped.stdout)]


def test_every_link_between_documents_leads_somewhere() -> None:
    dead = []
    for name, text in documents().items():
        for target in re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", text):
            if not ((ROOT / name).parent / target).exists():
                dead.append(f"{name}: {target}")
    assert not dead
