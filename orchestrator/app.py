"""The composition root: kernel, ports and rules, opened together and closed together."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from orchestrator.rules import Rules, load_rules
from orchestrator.together import Together
from shared.kernel import Kernel, open_kernel, running
from shared.settings import Settings
from shared.suite import PROTOCOLS, Suite, load_server, open_suite, refuse_wrong_options
from shared.webhook import WebhookSource


@dataclass(frozen=True, slots=True)
class App:
    """What every part of the product is given."""

    kernel: Kernel
    suite: Suite
    rules: Rules
    webhooks: Mapping[str, WebhookSource]  # by vendor account, wherever the server runs
    together: Together = field(default_factory=Together)  # webhooks that share a commit


@asynccontextmanager
async def open_app(
    settings: Settings, *, role: str, ports: tuple[str, ...] = tuple(PROTOCOLS)
) -> AsyncIterator[App]:
    """Open everything; raises `ConfigError`, `Unavailable` or `Fatal` before anything has begun."""
    rules = load_rules(settings.folder)
    bound = {binding.server for port, binding in settings.suite.ports.items() if port in ports}
    refuse_wrong_options(settings, bound)
    async with (
        open_kernel(settings, role=role) as kernel,
        open_suite(kernel, ports) as suite,
        running(kernel, role),
    ):
        yield App(kernel, suite, rules, webhook_sources(settings))


def webhook_sources(settings: Settings) -> dict[str, WebhookSource]:
    """Every vendor account that may send us events."""
    names = {binding.server for binding in settings.suite.ports.values()}
    return {
        account: source
        for name in sorted(names)
        for account, source in load_server(name, settings.suite.servers).webhooks.items()
    }
