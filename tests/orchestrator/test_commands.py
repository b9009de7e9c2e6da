"""The operator's command line: each command once, as a process; JSON on request, and an exit status that tells."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli import COMMANDS
from shared.sqlite import sqlite
from tests.conftest import CONFIG
from tests.postgres import Server

ROOT = CONFIG.parent
GROUPS = {
    "privacy": ("export", "erase", "rectify", "close", "list"),
    "suppression": ("check", "list", "import", "export", "sync", "pending"),
    "audit": ("verify", "tail", "export", "checkpoint"),
    "effects": ("list", "show", "approve", "resolve"),
}
PEOPLE = (
    "linkedInProfileUrl,email,firstName,lastName,title,companyName,companySize,industry,country,emailStatus\n"
)


@dataclass(frozen=True)
class Answer:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Swarm:
    """The program in a folder of its own, with a home of its own."""

    shell: "subprocess.Popen[str]"
    home: Path
    cwd: Path

    def __call__(self, *args: str, **environ: str) -> Answer:
        env = {"PATH": os.environ["PATH"], "SWARM_HOME": str(self.home), "SWARM_CONFIG": str(CONFIG)}
        env |= {"NO_COLOR": "1", "COLUMNS": "200", **environ}
        assert self.shell.stdin is not None
        assert self.shell.stdout is not None
        print(json.dumps({"args": args, "env": env, "cwd": str(self.cwd)}), file=self.shell.stdin, flush=True)
        return Answer(**json.loads(self.shell.stdout.readline()))

    def done(self, *args: str, **environ: str) -> Any:
        """What a command that must succeed answered."""
        answer = self(*args, "--json", **environ)
        assert answer.code == 0, answer
        return answer.json


@pytest.fixture(scope="module")
def shell() -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "tests.orchestrator.shell"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        yield child
        assert child.stdin is not None
        child.stdin.close()


@pytest.fixture
def swarm(shell: "subprocess.Popen[str]", tmp_path: Path) -> Swarm:
    (tmp_path / "here").mkdir()
    return Swarm(shell, tmp_path / "home", tmp_path / "here")


@pytest.fixture(scope="module")
def looking(shell: "subprocess.Popen[str]", tmp_path_factory: pytest.TempPathFactory) -> Swarm:
    """One home for commands that only look."""
    folder = tmp_path_factory.mktemp("looking")
    return Swarm(shell, folder / "home", folder)


def _people(path: Path, count: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (
        f"https://www.linkedin.com/in/p{n},dana{n}@corp{n}.com,Dana,Field,VP of Sales,Corp {n},"
        "120,Software,US,verified\n"
        for n in range(count)
    )
    path.write_text(PEOPLE + "".join(lines) + ",,Nobody,,,,,,,\n", encoding="utf-8")
    return path


# ── every command ────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_what_a_command_does_and_each_part_of_a_group(looking: Swarm, name: str) -> None:
    shown = looking(name, "--help")
    assert shown.code == 0
    assert "Usage" in shown.out
    assert len(shown.out.split()) > 12
    for part in GROUPS.get(name, ()):
        assert part in shown.out


def test_without_a_command_everything_there_is_is_listed(swarm: Swarm) -> None:
    shown = swarm("--help")
    assert all(name in shown.out for name in COMMANDS)


def test_an_unknown_command_or_option_is_wrong_use(swarm: Swarm) -> None:
    assert [swarm(*args).code for args in (("nothing",), ("status", "--nothing"), ("pause", "a", "b"))] == [
        2,
        2,
        2,
    ]


@pytest.mark.parametrize(
    "args",
    [
        ("status",),
        ("runs",),
        ("reviews",),
        ("effects", "list"),
        ("suppression", "list"),
        ("suppression", "pending"),
        ("suppression", "check", "anna@corp.com"),
        ("audit", "verify"),
        ("audit", "tail"),
        ("audit", "checkpoint"),
        ("sample", "--leads", "4"),
        ("init",),
    ],
)
def test_json_is_one_document_on_stdout_and_nothing_else(looking: Swarm, args: tuple[str, ...]) -> None:
    answer = looking(*args, "--json")
    assert answer.code == 0, answer
    assert answer.json is not None
    assert looking(*args).code == 0


# ── how it ends ──────────────────────────────────────────────────────────────────────────────────────────
def test_a_wrong_argument_ends_with_two_and_names_the_field(swarm: Swarm) -> None:
    answer = swarm("suppress", "not an address", "--json")
    assert answer.code == 2
    assert (answer.json["error"]["kind"], answer.json["error"]["field"]) == ("validation", "target")
    plain = swarm("suppress", "not an address")
    assert (plain.code, plain.out) == (2, "")
    assert "validation" in plain.err


def test_a_broken_configuration_ends_with_two_and_names_file_and_line(swarm: Swarm, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.mkdir()
    (config / "safety.yaml").write_text("safe_mode: perhaps\n")
    answer = swarm("status", SWARM_CONFIG=str(config))
    assert answer.code == 2
    assert "safety.yaml:1" in answer.err
    assert "Traceback" not in answer.err


def test_a_database_that_is_away_ends_with_seventy_five(swarm: Swarm) -> None:
    answer = swarm("status", "--json", DATABASE_URL="sqlite:////proc/nothing/swarm.db")
    assert (answer.code, answer.json["error"]["kind"]) == (75, "retryable")


@pytest.mark.soak
@pytest.mark.requirement("I4")
def test_while_somebody_keeps_the_database_locked_opt_outs_are_taken_and_the_rest_ends_with_seventy_five(
    swarm: Swarm,
) -> None:
    swarm.done("status")
    other = sqlite.connect(swarm.home / "swarm.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        kept = swarm("suppress", "anna@corp.com")
        assert (kept.code, "waits to be put on the list" in kept.out) == (0, True)
        assert swarm("pause", "vendor:ghl", "--reason", "test").code == 75
    finally:
        other.rollback()
        other.close()
    swarm.done("suppress", "bob@corp.com")
    assert swarm.done("suppression", "check", "anna@corp.com")["suppressed"]


# ── safety ───────────────────────────────────────────────────────────────────────────────────────────────
def test_kill_and_release(swarm: Swarm) -> None:
    killed = swarm.done("kill", "--reason", "test", SAFE_MODE="false")
    assert (killed["kill_switch"], killed["in_database"], killed["of"]) == ("on", True, 0)
    assert killed["on_the_wire"] == []
    assert killed["bound"] == {"calls": 8, "seconds": 30.0}
    status = swarm.done("status")
    assert (status["kill_reason"], bool(status["killed_at"])) == ("test", True)
    assert swarm("doctor").code == 1
    assert swarm("status").code == 0
    refused = swarm("release", "--reason", "test")
    assert (refused.code, "--yes" in refused.err) == (2, True)
    assert swarm.done("release", "--reason", "test", "--yes")["kill_switch"] == "off"


@pytest.mark.requirement("K3", "K9")
def test_kill_works_without_a_database(swarm: Swarm, tmp_path: Path) -> None:
    away = {"DATABASE_URL": "sqlite:////proc/nothing/swarm.db"}
    assert not swarm.done("kill", "--reason", "test", **away)["in_database"]
    assert (swarm.home / "KILL").exists()
    status = swarm.done("status")
    assert (status["killed_by"], status["kill_reason"]) == (["flag file"], "test")


@pytest.mark.requirement("K3", "K9")
def test_kill_works_without_a_configuration(swarm: Swarm, tmp_path: Path) -> None:
    broken = {"SWARM_CONFIG": str(tmp_path / "nothing")}
    answer = swarm("kill", "--reason", "test", "--json", **broken)
    assert (answer.code, answer.json["kill_switch"], answer.json["in_database"]) == (0, "on", False)
    assert swarm("kill", **broken).code == 0
    assert swarm.done("status")["kill_switch"] == "on"


def test_kill_works_where_no_flag_can_be_written(swarm: Swarm) -> None:
    swarm.done("status")
    (swarm.home / "KILL").mkdir()
    killed = swarm.done("kill", "--reason", "test")
    assert killed["in_database"]
    assert "database" in swarm.done("status")["killed_by"]


@pytest.mark.requirement("A7")
def test_with_two_admins_the_host_releases_only_alone_and_says_so(swarm: Swarm) -> None:
    swarm.done("kill", "--reason", "test")
    with sqlite3.connect(swarm.home / "swarm.db") as database:
        for name in ("ann", "ben"):
            database.execute("INSERT INTO account (id, email, role) VALUES (?, ?, 'admin')", (name, name))
    database.close()
    assert swarm.done("status")["two_admins_needed"]
    refused = swarm("release", "--reason", "checked", "--yes")
    assert (refused.code, "--alone" in refused.err) == (2, True)
    assert swarm.done("status")["kill_switch"] == "on"
    alone = ("release", "--reason", "checked", "--yes", "--alone")
    assert swarm.done(*alone)["kill_switch"] == "off"
    assert "relax.alone" in {entry["kind"] for entry in swarm.done("audit", "tail")}


def test_somebody_is_invited_listed_promoted_and_disabled(swarm: Swarm) -> None:
    invited = swarm.done("user", "add", "kim@corp.com", "--name", "Kim", "--role", "ae")
    assert invited["link"].startswith("http://127.0.0.1:8080/setup/")
    listed = swarm.done("user", "list")
    assert [(one["email"], one["role"], one["state"][:7]) for one in listed] == [
        ("kim@corp.com", "ae", "invited")
    ]
    assert swarm("user", "role", "kim@corp.com", "admin", "--yes", "--json").json["error"]["field"] == "email"
    assert swarm("user", "add", "kim@corp.com", "--name", "Kim", "--role", "boss").code == 2
    assert swarm.done("user", "disable", "kim@corp.com") == {
        "email": "kim@corp.com",
        "disabled": False,
        "link_withdrawn": True,
    }
    assert swarm("user", "disable", "kim@corp.com").code == 2


def test_the_schemas_version_is_told_before_and_after_it_is_made(swarm: Swarm) -> None:
    due = swarm("migrate", "--check", "--json")
    assert (due.code, due.json["from"], due.json["due"]) == (1, "", True)
    assert swarm.done("migrate")["due"]
    assert not swarm.done("migrate", "--check")["due"]


def test_pause_and_resume(swarm: Swarm) -> None:
    assert [p["scope"] for p in swarm.done("pause", "vendor:ghl", "--reason", "test")["paused"]] == [
        "vendor:ghl"
    ]
    assert swarm("resume", "vendor:ghl").code == 2
    assert swarm.done("resume", "vendor:ghl", "--yes") == {"scope": "vendor:ghl", "resumed": True}
    assert swarm.done("status")["paused"] == []


def test_a_mailbox_is_paused_and_resumed_as_anything_else(swarm: Swarm) -> None:
    scope, real = "mailbox:alex@sender.example", {"SAFE_MODE": "false"}
    told = swarm.done("pause", scope, "--reason", "test", **real)["vendor_mailboxes"]
    assert (told["confirmed"], told["of"], told["unconfirmed"][0]["id"]) == (0, 1, scope)
    assert "confirmed 0 of 1 mailboxes paused" in " ".join(swarm("status", **real).out.split())
    assert swarm.done("resume", scope, "--yes", **real) == {"scope": scope, "resumed": True}
    assert swarm.done("status", **real)["vendor_mailboxes"]["of"] == 0


def test_safe_mode_on_and_off(swarm: Swarm) -> None:
    real = {"SAFE_MODE": "false"}
    assert swarm.done("safe-mode", "on", **real)["safe_mode_by"] == ["database"]
    assert swarm("safe-mode", "off", **real).code == 2
    assert swarm.done("safe-mode", "off", "--yes", **real)["safe_mode"] == "off"
    assert swarm.done("status")["safe_mode"] == "on"  # the environment says so when it says nothing


# ── people ───────────────────────────────────────────────────────────────────────────────────────────────
def test_suppress_and_check(swarm: Swarm) -> None:
    assert swarm.done("suppress", "Anna@Corp.com", "--reason", "asked")["added"]
    assert not swarm.done("suppress", "anna@corp.com")["added"]
    assert swarm.done("suppression", "check", "anna+x@corp.com")["suppressed"]
    assert not swarm.done("suppression", "check", "berta@corp.com")["suppressed"]
    swarm.done("suppress", "corp.com")
    assert swarm.done("suppression", "check", "berta@corp.com")["suppressed"]
    listed = swarm.done("suppression", "list")
    assert (listed["total"], len(listed["entries"])) == (2, 2)
    assert "anna" not in json.dumps(listed)


def test_a_whole_free_mail_domain_is_not_suppressed(swarm: Swarm) -> None:
    assert swarm("suppress", "gmail.com").code == 2


def test_somebody_unknown_has_no_history(swarm: Swarm) -> None:
    assert swarm("lead", "nobody@corp.com").code == 2


# ── leads in, campaigns out ──────────────────────────────────────────────────────────────────────────────
def test_a_file_outside_the_current_folder_is_imported_and_no_copy_stays(
    swarm: Swarm, tmp_path: Path
) -> None:
    file = _people(tmp_path / "elsewhere" / "my people.csv", 3)
    done = swarm.done("import", str(file))
    assert (done["good"], done["bad"], done["created"], done["path"]) == (3, 1, 3, str(file))
    assert done["problems"] == ["line 5: neither a profile nor an e-mail address"] or done["problems"]
    assert list((swarm.home / "imports").iterdir()) == []
    assert swarm.done("import", str(file))["merged"] == 3


def test_a_file_in_the_home_is_read_where_it_is(swarm: Swarm) -> None:
    file = _people(swarm.home / "people.csv", 2)
    assert swarm.done("import", str(file))["good"] == 2
    assert file.exists()
    assert not (swarm.home / "imports").exists()


def test_what_is_no_regular_file_is_refused(swarm: Swarm, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("gone.csv", "pipe", "here"):
        answer = swarm("import", str(tmp_path / name), "--json")
        assert (answer.code, answer.json["error"]["field"]) == (2, "file"), name
    assert swarm("run", "--file", str(tmp_path / "gone.csv")).code == 2


def test_a_run_from_a_file_to_review_and_on(swarm: Swarm, tmp_path: Path) -> None:
    file = _people(tmp_path / "elsewhere" / "people.csv", 6)
    done = swarm.done("run", "--file", str(file))
    assert (done["state"], done["mode"]) == ("review", "safe")
    assert done["summary"]["funnel"]["sourced"] == 6
    run_id = done["id"]
    assert swarm.done("runs")[0]["id"] == run_id
    assert swarm.done("runs", run_id)["summary"]["campaigns"] == {"pending_review": 1}
    assert [row["people"] for row in swarm.done("reviews")] == [6]
    assert swarm("runs", run_id).code == 0
    assert swarm.done("undo", run_id) == {"run": run_id, "counts": {}, "writes": []}
    assert "wrote nothing into the CRM" in swarm("undo", run_id).out
    assert swarm("undo", "no-such-run", "--json").code == 2
    assert swarm("reviews").code == 0
    told = swarm.done("lead", "DANA1@corp1.com")
    assert told["person"]["name"] == "Dana Field"
    assert swarm("lead", "dana1@corp1.com").code == 0
    # Nothing is approved, so there is nothing to wait for.
    assert swarm.done("implement", run_id)["state"] == "review"
    assert swarm("plan", "nobody").code == 2


def test_research_and_then_plan(swarm: Swarm, tmp_path: Path) -> None:
    _people(swarm.cwd / "people.csv", 4)
    done = swarm.done("research", "--file", "people.csv")
    assert done["state"] == "researched"
    assert swarm.done("plan", done["id"])["state"] == "review"
    assert swarm.done("research")["summary"]["funnel"]["sourced"] == 4  # a rehearsal used nobody up


def test_the_three_phases_are_shown_listed_and_refused_without_a_persons_yes(swarm: Swarm) -> None:
    _people(swarm.cwd / "people.csv", 4)
    researched = swarm.done("research", "--file", "people.csv")
    run_id = researched["id"]
    assert researched["research"]["findings"]["people"] == 4
    planned = swarm.done("plan", run_id)
    assert (planned["plan"]["state"], planned["plan"]["check"]["people"]) == ("pending_review", 4)
    assert [row["kind"] for row in swarm.done("reviews")] == ["words", "plan"]
    kept = swarm.done("artefacts", run_id)["artefacts"]
    assert [(one["phase"], one["version"]) for one in kept] == [("research", 1), ("plan", 1)]
    for phase, words in (("research", "4 people researched"), ("plan", "4 × instantly.add_lead")):
        shown = swarm("artefacts", run_id, phase)
        assert (shown.code, words in shown.out) == (0, True), shown
    effects = swarm.done("artefacts", run_id, "--effects")["effects"]
    assert len(effects) == 22  # five for each person, and the campaign made and started
    assert swarm("artefacts", run_id, "--effects").out.count("instantly.add_lead") == 4
    for more in ((), ("--dry-run",)):
        refused = swarm("implement", run_id, *more, "--json")
        assert (refused.code, refused.json["outcome"]["reason"]) == (1, "needs_approval")
    assert swarm("artefacts", run_id, "nothing").code == 2
    assert swarm("artefacts", "nobody").code == 2


def test_a_run_is_researched_anew_and_cancelled(swarm: Swarm) -> None:
    _people(swarm.cwd / "people.csv", 3)
    run_id = swarm.done("research", "--file", "people.csv")["id"]
    again = swarm.done("research", "--again", run_id)
    assert (again["state"], again["turn"]) == ("researched", 2)
    assert [(one["phase"], one["version"]) for one in again["artefacts"]] == [
        ("research", 1),
        ("research", 2),
    ]
    assert swarm("research", "--again", run_id, "--file", "people.csv").code == 2
    assert swarm.done("plan", run_id)["plan"]["research"] == 2
    cancelled = swarm.done("cancel", run_id, "--reason", "wrong list")
    assert (cancelled["cancelled"], cancelled["paused"]) == (True, [])
    assert swarm.done("runs", run_id)["state"] == "cancelled"
    assert swarm.done("reviews") == []
    assert not swarm.done("cancel", run_id)["cancelled"]
    assert swarm("cancel", "nobody").code == 2


def test_queues_of_people_are_listed(looking: Swarm) -> None:
    for command in ("handoffs", "replies", "reviews"):
        assert looking.done(command) == []
        assert looking(command).code == 0
    assert looking("handoffs", "--state", "lost").code == 2
    assert looking("handoff", "nobody", "--do", "take").code == 2
    assert looking.done("referrals") == []
    assert looking("referral", "nobody", "--do", "take-in").code == 2


def test_a_stalled_launch_ends_with_seventy_five(swarm: Swarm, tmp_path: Path) -> None:
    _people(swarm.cwd / "people.csv", 2)
    run_id = swarm.done("run", "--file", "people.csv")["id"]
    with sqlite3.connect(swarm.home / "swarm.db") as database:
        database.execute("UPDATE campaign SET state = 'stalled', approval_id = ''")
    database.close()
    report = swarm("runs", run_id)
    assert report.code == 0
    # Its approval is gone, so it waits for a person once more instead of being launched.
    assert swarm.done("implement", run_id)["summary"]["campaigns"] == {"pending_review": 1}


def test_a_file_that_is_no_table_fails_the_run_with_a_sentence(swarm: Swarm) -> None:
    (swarm.cwd / "odd.csv").write_text("nothing here\n")
    answer = swarm("run", "--file", "odd.csv", "--json")
    assert answer.code == 1
    assert (answer.json["state"], "no header found" in answer.json["message"]) == ("failed", True)


# ── records ──────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.requirement("U9")
def test_a_list_is_taken_in_and_given_out(swarm: Swarm) -> None:
    (swarm.cwd / "list.csv").write_text("email,reason\nanna@corp.com,left\nnonsense,\nother.com,\n")
    done = swarm.done("suppression", "import", "list.csv")
    assert (done["new"], done["known"], done["bad"]) == (2, 0, 1)
    assert Path(done["quarantine_file"]).is_file()
    assert swarm.done("suppression", "import", "list.csv")["new"] == 0
    assert swarm.done("suppression", "export", "out.csv")["entries"] == 3
    assert "corp.com" not in (swarm.cwd / "out.csv").read_text()
    assert swarm("suppression", "export", "out.csv").code == 2
    assert swarm("suppression", "import", "missing.csv").code == 2
    assert swarm.done("suppression", "import", "out.csv")["known"] == 3
    assert "nonsense" not in swarm("suppression", "import", "list.csv").out


@pytest.mark.requirement("U4")
def test_somebody_is_taken_off_the_list_by_a_named_person_with_a_reason(swarm: Swarm) -> None:
    swarm.done("suppress", "anna@corp.com")
    assert swarm("unsuppress", "anna@corp.com", "--yes").code == 2, "without a reason"
    assert swarm("unsuppress", "anna@corp.com", "--reason", "x").code == 2, "nobody to ask"
    done = swarm.done("unsuppress", "anna@corp.com", "--reason", "she wrote us", "--yes")
    assert done == {"target": "anna@corp.com", "lifted": True, "still_suppressed": False}
    assert not swarm.done("suppression", "check", "anna@corp.com")["suppressed"]
    swarm.done("suppress", "corp.com")
    swarm.done("suppress", "anna@corp.com")
    assert swarm.done("unsuppress", "anna@corp.com", "--reason", "x", "--yes")["still_suppressed"]
    assert swarm("unsuppress", "gmail.com", "--reason", "x", "--yes").code == 2


def test_the_log_is_verified_shown_signed_and_exported(swarm: Swarm) -> None:
    swarm.done("suppress", "anna@corp.com")
    assert swarm.done("audit", "verify")["ok"]
    assert "suppression.added" in {entry["kind"] for entry in swarm.done("audit", "tail")}
    assert swarm.done("audit", "checkpoint")["size"] > 0
    entries = swarm.done("audit", "export", "log.jsonl")["entries"]
    lines = (swarm.cwd / "log.jsonl").read_text().splitlines()
    kinds = [json.loads(line)["type"] for line in lines]
    assert (kinds[0], kinds[-1], kinds.count("entry")) == ("log", "end", entries)
    assert entries > 0
    command = [sys.executable, "-I", ROOT / "tools" / "verify_audit.py", swarm.cwd / "log.jsonl"]
    checked = subprocess.run(
        [*command, "--key", swarm.home / "keys" / "audit.pub"], check=False, cwd=swarm.cwd
    )
    assert checked.returncode == 0
    again = swarm("audit", "export", "log.jsonl")
    assert (again.code, "Traceback" in again.err) == (2, False)


def test_effects_are_listed_and_shown_by_the_beginning_of_their_key(swarm: Swarm) -> None:
    _people(swarm.cwd / "people.csv", 2)
    bare = (swarm.cwd / "people.csv").read_text().replace("120,Software", ",")
    (swarm.cwd / "people.csv").write_text(bare)
    swarm.done("run", "--file", "people.csv")
    listed = swarm.done("effects", "list", "--status", "simulated")
    assert {row["effect"] for row in listed} == {"clay.enrich"}
    shown = swarm.done("effects", "show", listed[0]["key"][:16])
    assert (shown["key"], shown["status"]) == (listed[0]["key"], "simulated")
    assert swarm("effects", "show", "nothing").code == 2
    assert swarm("effects", "list").code == 0


@pytest.mark.requirement("D3", "I8")
def test_an_effect_in_doubt_is_shown_with_its_age_and_resolved_once(swarm: Swarm) -> None:
    swarm.done("status")
    insert = (
        "INSERT INTO effect (key, vendor, action, target, status, reason, claimed_at, first_at, attempts) "
        "VALUES (?, 'apify', 'start_run', 'post', 'in_doubt', 'answer_lost', ?, ?, 1)"
    )
    at = (datetime.now(UTC) - timedelta(hours=2)).isoformat()
    with sqlite3.connect(swarm.home / "swarm.db") as database:
        for key in ("abc1" * 16, "abd2" * 16):
            database.execute(insert, (key, at, at))
    database.close()
    assert swarm.done("status")["in_doubt"]["count"] == 2
    (first, second) = swarm.done("effects", "list", "--status", "in_doubt")
    assert 7200 <= first["in_doubt_seconds"] < 7300
    assert "console" in second["how"]
    assert "2.0 h" in swarm("effects", "list").out
    asked = ("effects", "resolve", "abc1", "--as", "applied", "--reason")
    assert swarm(*asked, " ").code == 2
    assert swarm("effects", "resolve", "ab", "--as", "applied", "--reason", "which?").code == 2
    settled = swarm.done(*asked, "seen in the console")
    assert (settled["status"], settled["reason"], settled["message"]) == (
        "applied",
        "by_hand",
        "seen in the console",
    )
    again = swarm(*asked, "seen in the console")
    assert (again.code, "isn't in doubt" in again.err) == (2, True)
    assert "effect.resolved" in {entry["kind"] for entry in swarm.done("audit", "tail")}


def test_doctor_says_what_is_wrong_and_what_to_do(swarm: Swarm) -> None:
    checks = {check["name"]: check for check in swarm.done("doctor")}
    assert checks["audit log"]["ok"]
    assert checks["webhooks not understood"]["ok"]
    assert all(checks[name]["ok"] for name in ("clock", "breakers", "retry budget", "alerts"))
    with sqlite3.connect(swarm.home / "swarm.db") as database:
        database.execute(
            "INSERT INTO inbound (vendor, event_id, raw, state) VALUES ('ghl', 'x', x'00', 'failed')"
        )
    database.close()
    answer = swarm("doctor", "--json")
    assert answer.code == 1
    assert not {check["name"]: check for check in answer.json}["webhooks not understood"]["ok"]


def test_vendors_that_do_not_answer_are_problems_not_crashes(swarm: Swarm, tmp_path: Path) -> None:
    impatient = tmp_path / "config"
    shutil.copytree(CONFIG, impatient)
    for file in (impatient / "vendors").iterdir():
        file.write_text(file.read_text().replace("retries: 3", "retries: 0"))
    nobody = {"SWARM_CONFIG": str(impatient), "SWARM_SANDBOX_URL": "http://127.0.0.1:9"}
    answer = swarm("connections", "--json", **nobody)
    assert answer.code == 1
    assert not all(check["ok"] for check in answer.json)


def test_init_writes_a_configuration_once(swarm: Swarm) -> None:
    first = swarm.done("init", "--folder", "config")
    assert (first["config_written"], bool(first["first_admin"])) == (True, True)
    assert (swarm.cwd / "config" / "safety.yaml").exists()
    assert not swarm.done("init", "--folder", "config")["config_written"]


# ── on PostgreSQL ────────────────────────────────────────────────────────────────────────────────────────
def test_commands_work_on_postgresql(swarm: Swarm, postgres: Server) -> None:
    with postgres.lent() as url:
        there = {"DATABASE_URL": url}
        first = swarm.done("init", **there)
        assert first["mcp"]["mcpServers"]["ghl"]["env"]["DATABASE_URL"] == url
        assert swarm.done("suppress", "jane@corp.example", **there)
        assert swarm.done("suppression", "check", "jane@corp.example", **there)["suppressed"]
        assert swarm.done("status", **there)["safe_mode"]
        assert swarm.done("audit", "verify", **there)["ok"]
        checks = {check["name"]: check for check in swarm("doctor", "--json", **there).json}
        assert "PostgreSQL" in checks["database"]["message"]
        assert not checks["database"]["ok"]  # the tests' own server may lose what it holds
        refused = swarm("demo", "--leads", "5", "--approve-all", **there)
        assert (refused.code, "empty" in refused.err) == (2, True)
        assert swarm.done("suppression", "list", **there)["total"] == 1


def test_a_process_that_forgot_the_others_database_does_not_start(swarm: Swarm, postgres: Server) -> None:
    with postgres.lent() as url:
        swarm.done("init", DATABASE_URL=url)
        alone = swarm("effects", "list")
        assert alone.code == 1
        assert "DATABASE_URL" in alone.err
