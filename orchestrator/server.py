"""The orchestrator as an MCP server: `python -m servers orchestrator`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from orchestrator.app import App, webhook_sources
from orchestrator.prompts import PROMPTS
from orchestrator.resources import RESOURCES
from orchestrator.rules import load_rules
from orchestrator.tools import TOOLS, TOOLSETS
from shared.kernel import Kernel
from shared.suite import Server, open_suite


@asynccontextmanager
async def open_orchestrator(kernel: Kernel) -> AsyncIterator[App]:
    """The application over an open kernel, with every port."""
    async with open_suite(kernel) as suite:
        yield App(kernel, suite, load_rules(kernel.settings.folder), webhook_sources(kernel.settings))


SERVER = Server(
    name="orchestrator",
    title="Alpha Swarm",
    instructions=(
        "Runs an outbound pipeline in three phases: orchestrator_research, orchestrator_plan, then a person approves "
        "words and plan in the Gatekeeper, then orchestrator_implement. Phases run in the background: poll "
        "orchestrator_get_run, read results with orchestrator_get_artefact. You may look at everything and stop "
        "anything. You can't approve, resume, release the kill switch or leave safe mode: say so, and point to the "
        "Gatekeeper."
    ),
    open=open_orchestrator,
    tools=TOOLS,
    toolsets=TOOLSETS,
    resources=RESOURCES,
    prompts=PROMPTS,
)
