"""The opened enricher: a Clay workspace and a Hunter.io account."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, ValidationError

from servers.enricher.api import CLAY_RULES, HUNTERIO_RULES, Clay, HunterIo
from shared.errors import ConfigError
from shared.kernel import Kernel
from shared.settings import Strict

Input = Literal["linkedin_url", "email", "full_name", "company", "company_domain"]


class ClayOptions(Strict):
    """What config/vendors/clay.yaml adds to every account's settings."""

    fresh_days: Annotated[int, Field(ge=1, le=365)] = 45
    credits_per_lead: Annotated[int, Field(ge=0, le=1000)] = 1
    inputs: Mapping[Input, Annotated[str, Field(min_length=1, max_length=100)]]


class HunterIoOptions(Strict):
    """What config/vendors/hunterio.yaml adds to every account's settings."""

    fresh_days: Annotated[int, Field(ge=1, le=365)] = 30


OptionsT = TypeVar("OptionsT", bound=Strict)


@dataclass(frozen=True, slots=True)
class Enricher:
    """What the tools work with."""

    kernel: Kernel
    clay: Clay
    hunterio: HunterIo
    routine: str
    webhook_id: str
    options: ClayOptions
    verifier_options: HunterIoOptions


@asynccontextmanager
async def open_enricher(kernel: Kernel) -> AsyncIterator[Enricher]:
    """Both accounts, ready; `ConfigError` where their options can't be used."""
    clay = kernel.settings.vendor("clay")
    hunterio = kernel.settings.vendor("hunterio")
    yield Enricher(
        kernel=kernel,
        clay=Clay(kernel.client("clay", CLAY_RULES)),
        hunterio=HunterIo(kernel.client("hunterio", HUNTERIO_RULES)),
        routine=clay.secrets.get("routine_id", ""),
        webhook_id=clay.secrets.get("webhook_id", ""),
        options=_options("clay", clay.options, ClayOptions),
        verifier_options=_options("hunterio", hunterio.options, HunterIoOptions),
    )


def _options(name: str, given: Mapping[str, Any], model: type[OptionsT]) -> OptionsT:
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        problems = "; ".join(
            f"options.{'.'.join(map(str, problem['loc']))}: {problem['msg']}"
            for problem in error.errors(include_url=False, include_input=False)
        )
        raise ConfigError(f"config/vendors/{name}.yaml: {problems}") from error
