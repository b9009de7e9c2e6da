"""`swarm`, killed with SIGKILL at one of the instants at which something of it becomes lasting: by itself, so exactly.

An instant is the beginning of a write, its commit, the database's file being written anew, or a file taking another's
place: what stands before it has happened, and what stands after it hasn't. The driver and the interpreter tell of them.

    python -m tests.journeys.killing_itself 7 privacy erase …          killed at the seventh
    python -m tests.journeys.killing_itself VACUUM+2 privacy erase …   at the second after the first of that name
    python -m tests.journeys.killing_itself never privacy erase …      not at all
"""

import os
import signal
import sys
from typing import Any

import sqlalchemy as sa

from orchestrator import cli

LASTING = ("BEGIN IMMEDIATE", "COMMIT", "VACUUM", "PRAGMA wal_checkpoint")
REPLACED = "os.rename"


class Instants:
    """Counts them, and ends the process at the one that was asked for."""

    def __init__(self, killed_at: str) -> None:
        name, _, after = killed_at.partition("+")
        self.name = "" if name.isdecimal() else name
        self.left = int(name) if name.isdecimal() else int(after or 0)

    def opened(self, connection: Any, _: object) -> None:
        """A connection to the database: its statements are told of as they begin."""
        connection.set_trace_callback(self.began)

    def began(self, statement: str) -> None:
        """A statement begins."""
        if statement.startswith(LASTING):
            self._reach(statement)

    def happens(self, what: str, args: tuple[Any, ...]) -> None:
        """Something that the interpreter tells of."""
        if what == REPLACED and str(args[0]).endswith(".partial"):
            self._reach(what)

    def _reach(self, what: str) -> None:
        if self.name and not what.startswith(self.name):
            return
        self.left -= not self.name
        self.name = ""
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Run the command of the arguments."""
    _, killed_at, *command = sys.argv
    instants = Instants(killed_at)
    sa.event.listen(sa.Engine, "connect", instants.opened)
    sys.addaudithook(instants.happens)
    sys.argv = ["swarm", *command]
    cli.main()


if __name__ == "__main__":
    main()
