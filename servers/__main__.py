"""`python -m servers ghl`: one MCP server by itself, on stdin and stdout or over HTTP."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence

import anyio

from shared import telemetry
from shared.errors import ConfigError, Retryable, SwarmError
from shared.keys import load_keys
from shared.listener import listener
from shared.server import Offer, serve_http, serve_stdio
from shared.settings import Settings, load_settings
from shared.suite import load_server, refuse_wrong_options

FATAL, WRONG_USE, TRY_LATER = 1, 2, 75

DESCRIPTION = "Serve one MCP server of the suite: on stdin and stdout, or over HTTP with --http."
EPILOG = """\
The names come from `servers:` in config/suite.yaml. With nothing configured everything runs against
the sandboxes and in safe mode: writing tools simulate.

  python -m servers ghl                                as an MCP host starts it (see mcp.json)
  python -m servers ghl --http 127.0.0.1:8701          at http://127.0.0.1:8701/mcp
  python -m servers instantly --read-only              writing tools are neither listed nor callable
  python -m servers orchestrator --lockdown            of a reply a model learns the class, and no word of it
  python -m servers ghl --exclude-tools trigger_workflow,set_dnc

environment:
  SAFE_MODE    true unless set to false       READ_ONLY    true beats every flag
  SWARM_CONFIG the folder config/             SWARM_HOME   where data is kept, ./.swarm
  SWARM_HTTP_TOKEN  a bearer token every HTTP request must carry; needed beyond loopback

exit status: 0 done, 1 a person must act, 2 wrong use, 75 try again later
"""


def main(arguments: Sequence[str] | None = None, environ: Mapping[str, str] | None = None) -> int:
    """Serve until the host goes; returns the exit status."""
    given = _parser().parse_args(arguments)
    try:
        settings = load_settings(None, os.environ if environ is None else environ)
        if given.name not in settings.suite.servers:
            return _tell(f"no server is called {given.name!r}; there are {_names(settings)}", WRONG_USE)
        _serve(given, settings)
    except KeyboardInterrupt:
        return 0
    except (ConfigError, SwarmError, ExceptionGroup) as error:
        return _ended(error)
    return 0


def _serve(given: argparse.Namespace, settings: Settings) -> None:
    server = load_server(given.name, settings.suite.servers)
    offer = Offer(given.read_only, _words(given.exclude_tools), _words(given.toolsets), given.lockdown)
    token = settings.variables.get("SWARM_HTTP_TOKEN", "")
    at = listener(given.http, token, sorted(_words(given.allowed_hosts))) if given.http else None
    offer.hidden(server)  # a misspelt name is told before anything is opened
    refuse_wrong_options(settings, [given.name])
    telemetry.configure("INFO", load_keys(settings.home).pepper, settings.secret_values)
    if at is None:
        anyio.run(serve_stdio, server, settings, offer)
    else:
        anyio.run(serve_http, server, settings, at, offer)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m servers",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("name", metavar="NAME", help="ghl, hunter, enricher, instantly, documents or orchestrator")
    add(
        "--http",
        metavar="HOST:PORT",
        default="",
        help="listen there instead of on stdin; port 0 takes a free one",
    )
    add("--allowed-hosts", metavar="A,B", default="", help="Host headers to accept beyond loopback")
    add("--read-only", action="store_true", help="offer only the tools that change nothing")
    add(
        "--lockdown",
        action="store_true",
        help="withhold from the model what strangers wrote, replies above all",
    )
    add("--exclude-tools", metavar="A,B", default="", help="tools not to offer")
    add("--toolsets", metavar="A,B", default="", help="optional sets of tools to add; `all` adds every one")
    return parser


def _words(text: str) -> frozenset[str]:
    return frozenset(word.strip() for word in text.split(",") if word.strip())


def _names(settings: Settings) -> str:
    return ", ".join(sorted(settings.suite.servers))


def _ended(error: Exception) -> int:
    """What a person is told of the error inside any groups; a bug keeps its traceback."""
    inner = error
    while isinstance(inner, ExceptionGroup):
        inner = inner.exceptions[0]
    if isinstance(inner, ConfigError | SwarmError):
        return _tell(str(inner), TRY_LATER if isinstance(inner, Retryable) else FATAL)
    raise error


def _tell(message: str, status: int) -> int:
    sys.stderr.write(f"{message}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
