"""The opened hunter: both providers' accounts, what each serves, and which files may be read."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import Field

from servers.hunter.api import APIFY_RULES, PHANTOMBUSTER_RULES, Apify, PhantomBuster
from servers.hunter.jobs import Kind
from shared.errors import ConfigError, Invalid
from shared.kernel import Kernel
from shared.strict import Strict

Provider = Literal["phantombuster", "apify"]
PROVIDERS: tuple[Provider, ...] = ("phantombuster", "apify")


class PhantomBusterOptions(Strict):
    """What config/vendors/phantombuster.yaml adds to every account's settings."""

    serves: tuple[Kind, ...] = ()
    posts_per_launch: Annotated[int, Field(ge=1, le=10)] = 1
    import_roots: tuple[str, ...] = ()


class ApifyOptions(Strict):
    """What config/vendors/apify.yaml adds to every account's settings."""

    serves: tuple[Kind, ...] = ()
    actors: Mapping[Kind, Annotated[str, Field(pattern=r"^[\w.-]+~[\w.-]+$")]] = {}
    max_charge_usd: Annotated[float, Field(gt=0, le=100)] = 2.0


OptionsT = TypeVar("OptionsT", bound=Strict)


@dataclass(frozen=True, slots=True)
class Hunter:
    """What the tools work with."""

    kernel: Kernel
    phantombuster: PhantomBuster
    apify: Apify
    agents: Mapping[Kind, str]  # PhantomBuster agent ids; "" where none is configured
    options: PhantomBusterOptions
    apify_options: ApifyOptions

    def provider(self, kind: Kind) -> Provider:
        """Who serves that audience; `Invalid` where the configuration names nobody."""
        if kind in self.options.serves:
            return "phantombuster"
        if kind in self.apify_options.serves:
            return "apify"
        raise Invalid(f"no provider is configured for {kind}", field="kind", code="not_served")

    def missing(self, kind: Kind) -> str:
        """What the provider of that audience still needs; empty when nothing."""
        if self.provider(kind) == "phantombuster":
            return "" if self.agents[kind] else f"set PHANTOMBUSTER_{kind.upper()}_AGENT to the agent's id"
        return "" if self.apify_options.actors.get(kind) else f"name the actor for {kind} in apify.yaml"

    def readable(self, path: str) -> Path:
        """The real file behind a path inside the import folders; `Invalid` for anything else.

        Links are followed before the check, so a link out of the folder is outside.
        """
        try:
            real = Path(path).expanduser().resolve(strict=True)
        except (OSError, RuntimeError, ValueError) as error:
            raise Invalid("there is no such file", field="path", code="not_found") from error
        roots = [Path.cwd(), self.kernel.settings.home, *map(Path, self.options.import_roots)]
        if not any(real.is_relative_to(root.expanduser().resolve()) for root in roots):
            raise Invalid(
                "outside the import folders: the current one, SWARM_HOME, phantombuster.yaml's import_roots",
                field="path",
                code="outside",
            )
        return real


@asynccontextmanager
async def open_hunter(kernel: Kernel) -> AsyncIterator[Hunter]:
    """Both accounts, ready; `ConfigError` where their options contradict each other."""
    phantombuster = kernel.settings.vendor("phantombuster")
    options = kernel.settings.vendor_options("phantombuster", PhantomBusterOptions)
    apify_options = kernel.settings.vendor_options("apify", ApifyOptions)
    both = set(options.serves) & set(apify_options.serves)
    if both:
        raise ConfigError(f"phantombuster.yaml and apify.yaml both serve {', '.join(sorted(both))}; keep one")
    yield Hunter(
        kernel=kernel,
        phantombuster=PhantomBuster(kernel.client("phantombuster", PHANTOMBUSTER_RULES)),
        apify=Apify(kernel.client("apify", APIFY_RULES)),
        agents={
            "likers": phantombuster.secrets.get("likers_agent", ""),
            "commenters": phantombuster.secrets.get("commenters_agent", ""),
        },
        options=options,
        apify_options=apify_options,
    )
