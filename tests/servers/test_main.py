"""`python -m servers`: what a person is told, and when the process ends."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from servers.__main__ import FATAL, WRONG_USE, main
from shared.remote import environment
from tests.little import little_settings

ROOT = Path(__file__).parent.parent.parent
HANDSHAKE = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "test", "version": "1"},
}


def variables(folder: Path) -> dict[str, str]:
    return environment(little_settings(folder))


def test_an_unknown_name_is_answered_with_the_list(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["gohighlevel"], variables(tmp_path)) == WRONG_USE
    assert "there are little" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["little", "--http", "0.0.0.0:0"], "SWARM_HTTP_TOKEN"),
        (["little", "--http", "8701"], "HOST:PORT"),
        (["little", "--exclude-tools", "remove_laed"], "remove_laed"),
    ],
)
def test_what_is_not_safe_to_start_is_not_started(
    arguments: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments, variables(tmp_path)) == FATAL
    assert told in capsys.readouterr().err


def test_a_missing_configuration_is_a_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ghl"], {"SWARM_CONFIG": str(tmp_path / "nowhere")}) == FATAL
    assert "SWARM_CONFIG" in capsys.readouterr().err


def test_wrong_use_shows_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([], {})
    assert ended.value.code == WRONG_USE
    assert "usage: python -m servers" in capsys.readouterr().err


def test_the_end_of_input_ends_the_server(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "servers", "little"]
    env = {"PATH": os.environ["PATH"], **variables(tmp_path)}
    ended = subprocess.run(
        command, env=env, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, b"")


@pytest.mark.skipif(sys.platform == "win32", reason="a process there keeps the id of its dead parent")
def test_a_server_whose_host_died_without_closing_the_pipe_ends(tmp_path: Path) -> None:
    host = (
        "import subprocess, sys;"
        "command = [sys.executable, '-m', 'servers', 'little'];"
        "child = subprocess.Popen(command, stdin=0, stdout=subprocess.PIPE);"
        "sys.exit(0 if child.stdout.readline() else 1)"
    )
    asked = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": HANDSHAKE}
    reading, writing = (
        os.pipe()
    )  # its writing end stays open here: the server never sees the end of its input
    env = {"PATH": os.environ["PATH"], **variables(tmp_path)}
    os.write(writing, json.dumps(asked).encode() + b"\n")
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", host], env=env, cwd=ROOT, stdin=reading, stderr=subprocess.PIPE
    ) as started:
        _, told = started.communicate(timeout=60)  # the server holds the other end of stderr until it ends
    os.close(reading)
    os.close(writing)
    assert (started.returncode, told) == (0, b"")
