"""`swarm`: the operator's command line. Each command lives in `commands/`, and is loaded when it is called."""

import importlib
import sys
from typing import Any

import anyio
import typer
from typer.core import TyperGroup

from orchestrator.commands.terminal import fail
from shared.errors import ConfigError, Fatal, Invalid, Retryable, SwarmError

# name → module in orchestrator.commands. Loading them all would cost a second at every start.
COMMANDS = {
    "demo": "demo",
    "init": "setup",
    "doctor": "setup",
    "connections": "setup",
    "serve": "hosting",
    "gatekeeper": "hosting",
    "worker": "hosting",
    "sandbox": "hosting",
    "witness": "hosting",
    "sample": "samples",
    "import": "pipeline",
    "research": "phases",
    "plan": "phases",
    "implement": "phases",
    "run": "phases",
    "artefacts": "phases",
    "cancel": "phases",
    "runs": "pipeline",
    "undo": "pipeline",
    "status": "safety",
    "kill": "safety",
    "release": "safety",
    "pause": "safety",
    "resume": "safety",
    "safe-mode": "safety",
    "privacy": "privacy",
    "retention": "privacy",
    "suppress": "people",
    "complaint": "people",
    "unsuppress": "people",
    "suppression": "people",
    "lead": "people",
    "audit": "records",
    "effects": "records",
    "reviews": "queues",
    "handoffs": "queues",
    "handoff": "queues",
    "replies": "queues",
    "referrals": "referrals",
    "referral": "referrals",
    "metrics": "metrics",
    "user": "users",
    "migrate": "keeping",
    "schedules": "schedules",
    "report": "reports",
    "events": "events",
    "backup": "keeping",
    "restore": "keeping",
    "recover": "keeping",
}


class _OnDemand(TyperGroup):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - typer names the parameter
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - as above
        module = COMMANDS.get(cmd_name)
        if module is None:
            return None
        group = typer.main.get_command(importlib.import_module(f"orchestrator.commands.{module}").commands)
        return group.commands.get(cmd_name)  # type: ignore[attr-defined]  # several commands make a group


app = typer.Typer(cls=_OnDemand, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def swarm() -> None:
    """Outbound sales that an agent can drive and a person can stop.

    Start with `swarm demo`. Exit status: 0 done, 1 fatal, 2 wrong use or invalid input, 75 retry later.
    """


def main() -> None:
    """Run one command; every known error becomes one sentence and an exit status."""
    try:
        app()
    except BaseExceptionGroup as group:
        _end(_only(group))
    except (ConfigError, SwarmError) as error:
        _end(error)
    except KeyboardInterrupt:
        sys.exit(130)


def _only(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one error in a group of one; what several tasks raise together is shown by its first."""
    first = group.exceptions[0]
    return _only(first) if isinstance(first, BaseExceptionGroup) else first


def _end(error: BaseException) -> None:
    if isinstance(error, ConfigError):
        fail(str(error), "validation", 2)
    if isinstance(error, Invalid):
        fail(error.message, "validation", 2, field=error.field)
    if isinstance(error, Retryable):
        fail(error.message, "retryable", 75)
    if isinstance(error, Fatal | SwarmError):
        fail(error.message, "fatal", 1)
    if isinstance(error, KeyboardInterrupt | anyio.get_cancelled_exc_class()):
        sys.exit(130)
    raise error


if __name__ == "__main__":
    main()
