"""The opened enricher: a Clay workspace and a Hunter.io account."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar

from pydantic import Field

from servers.enricher.api import CLAY_RULES, HUNTERIO_RULES, Clay, HunterIo
from shared.kernel import Kernel
from shared.strict import Strict

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
    yield Enricher(
        kernel=kernel,
        clay=Clay(kernel.client("clay", CLAY_RULES)),
        hunterio=HunterIo(kernel.client("hunterio", HUNTERIO_RULES)),
        routine=clay.secrets.get("routine_id", ""),
        webhook_id=clay.secrets.get("webhook_id", ""),
        options=kernel.settings.vendor_options("clay", ClayOptions),
        verifier_options=kernel.settings.vendor_options("hunterio", HunterIoOptions),
    )
