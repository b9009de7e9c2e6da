"""swarm serve · gatekeeper · worker · sandbox: what stays running."""

import importlib
import os
import runpy
import signal
import sys
from pathlib import Path
from typing import Annotated

import anyio
import typer
from rich.console import Console

from orchestrator.app import open_app
from orchestrator.commands.terminal import run, settings
from shared import telemetry
from shared.clock import SystemClock
from shared.errors import Invalid

commands = typer.Typer()
SERVERS = "ghl, hunter, enricher, instantly, documents or orchestrator"


@commands.command()
def serve(
    name: Annotated[str, typer.Argument(help=SERVERS)],
    http: Annotated[str, typer.Option(help="HOST:PORT; stdio when absent")] = "",
    lockdown: Annotated[
        bool,
        typer.Option("--lockdown", help="withhold from the model what strangers wrote, replies above all"),
    ] = False,
) -> None:
    """Run one MCP server, on stdio or over HTTP. The same as `python -m servers NAME`."""
    flags = ["--lockdown"] if lockdown else []
    sys.argv = ["servers", name, *(["--http", http] if http else []), *flags]
    runpy.run_module("servers", run_name="__main__", alter_sys=True)


@commands.command()
def gatekeeper(
    host: Annotated[str, typer.Option()] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8080,
    work: Annotated[bool, typer.Option(help="also run the pipeline worker in this process")] = True,
    opt_outs_only: Annotated[
        bool, typer.Option(help="take opt-outs into the spool, and open no database")
    ] = False,
) -> None:
    """Run the web application: review, approve, pause, stop; the vendors' webhooks, and unsubscribe links."""
    serving = importlib.import_module("orchestrator.serving")
    if opt_outs_only:
        run(lambda: serving.only_opt_outs(settings("INFO"), host, port))
        return
    run(lambda: serving.gatekeeper(settings("INFO"), host, port, with_worker=work))


@commands.command()
def worker() -> None:
    """Run the pipeline worker by itself: flows, webhooks that came in, stops, reconciliation."""

    async def work() -> None:
        found = settings("INFO")
        opening = importlib.import_module("orchestrator.worker").open_worker
        async with open_app(found, role="worker") as app, opening(app):
            Console(stderr=True).print("working; Ctrl-C ends it", style="dim")
            await _until_ended()

    run(work)


@commands.command()
def sandbox(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one")] = 8790,
    state: Annotated[Path | None, typer.Option(help="folder to keep state in; memory when absent")] = None,
    faults: Annotated[Path | None, typer.Option(help="a fault plan, YAML")] = None,
    ready_file: Annotated[Path | None, typer.Option(help="written with the address once it serves")] = None,
    follow_parent: Annotated[
        bool, typer.Option(help="end when the process that started this one ends")
    ] = False,
) -> None:
    """Run the vendors' emulators on loopback: every vendor under its own path, with fault injection."""
    emulating = importlib.import_module("orchestrator.emulators")

    async def work() -> None:
        async with emulating.serve_all(settings(), port=port, state=state, faults=faults) as address:
            Console(stderr=True).print(f"vendor emulators at {address}", style="dim")
            if ready_file is not None:
                ready_file.write_text(address, encoding="utf-8")
            await (_until_orphaned() if follow_parent else _until_ended())

    run(work)


@commands.command()
def witness(
    home: Annotated[Path, typer.Option(help="the witness's own folder, out of reach of the log's owner")],
    http: Annotated[str, typer.Option(help="HOST:PORT; port 0 takes a free one")] = "127.0.0.1:8795",
    name: Annotated[str, typer.Option(help="the witness's name, in its signatures")] = "witness.local",
    trust: Annotated[
        list[str] | None, typer.Option(help="a log's audit.pub, or the 64 hex digits in it; may be repeated")
    ] = None,
    allowed_host: Annotated[
        list[str] | None, typer.Option(help="Host header to accept beyond loopback; may be repeated")
    ] = None,
) -> None:
    """Run a witness of audit logs, under another user than the log's owner: it signs only what grew.

    Prints what `checkpoints.witnesses` in the log's config/safety.yaml needs.
    """
    serving = importlib.import_module("orchestrator.witness")
    keys = [_public_key(one) for one in trust or []]
    telemetry.configure("INFO")

    async def work() -> None:
        await serving.serve(home, name, http, keys, tuple(allowed_host or ()), Console(stderr=True).print)

    run(work)


def _public_key(text: str) -> bytes:
    """A log's public key, from its hex digits or from a file with them."""
    try:
        said = text if len(text) == 64 else Path(text).read_text(encoding="ascii").strip()
        key = bytes.fromhex(said)
    except (OSError, ValueError) as error:
        raise Invalid(
            "a log is trusted by its audit.pub, or the 64 hex digits in it", field="trust"
        ) from error
    if len(key) != 32:
        raise Invalid("a public key has 64 hex digits", field="trust")
    return key


async def _until_ended() -> None:
    """Wait for Ctrl-C or a polite kill."""
    try:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for _ in signals:
                return
    except NotImplementedError:  # Windows: Ctrl-C arrives as KeyboardInterrupt
        await anyio.sleep_forever()


async def _until_orphaned() -> None:
    """Wait until whoever started this process is gone, or ends it politely."""
    clock, parent = SystemClock(), os.getppid()
    async with anyio.create_task_group() as tasks:

        async def ended() -> None:
            await _until_ended()
            tasks.cancel_scope.cancel()

        tasks.start_soon(ended)
        while os.getppid() == parent:
            await clock.sleep(0.5)
        tasks.cancel_scope.cancel()
