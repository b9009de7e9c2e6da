"""Runs `swarm` as often as it is told, each time in a process of its own: loading the program once saves a second.

Reads JSON lines {"args", "env", "cwd"} and answers {"code", "out", "err"}.
"""

import importlib
import json
import os
import sys
import tempfile
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator import cli


def main() -> None:
    """Serve until the input ends."""
    for module in sorted(set(cli.COMMANDS.values())):
        importlib.import_module(f"orchestrator.commands.{module}")
    importlib.import_module("orchestrator.demo")
    for line in sys.stdin:
        sys.stdout.write(json.dumps(_run(json.loads(line))) + "\n")
        sys.stdout.flush()


def _run(asked: Mapping[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        child = os.fork()
        if child == 0:
            _become(asked, out.fileno(), err.fileno())
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        out.seek(0)
        err.seek(0)
        return {"code": code, "out": out.read(), "err": err.read()}


def _become(asked: Mapping[str, Any], out: int, err: int) -> None:
    """The rest of this process is one command."""
    code = 1
    try:
        with Path(os.devnull).open() as nothing:
            os.dup2(nothing.fileno(), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.chdir(asked["cwd"])
        os.environ.clear()
        os.environ.update(asked["env"])
        sys.argv = ["swarm", *asked["args"]]
        cli.main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1 if end.code else 0
    except BaseException:  # noqa: BLE001 - what a real process would print before it ends with 1
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
