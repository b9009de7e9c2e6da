"""The opened Instantly account: what every tool gets as its first argument."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from servers.instantly.api import LEADS_PER_REQUEST, READING_POSTS, RULES, InstantlyApi
from shared.clock import Clock
from shared.errors import Invalid
from shared.gate import Gate
from shared.kernel import Kernel
from shared.ledger import Ledger

ACCOUNT = "instantly"
SIMULATED = "simulated:"


class Options(BaseModel):
    """`options` of config/vendors/instantly.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    open_tracking: bool = True
    stop_for_company: bool = True
    unsubscribe_text: Annotated[str, Field(min_length=1, max_length=100)] = "Unsubscribe"
    leads_per_request: Annotated[int, Field(ge=1, le=LEADS_PER_REQUEST)] = LEADS_PER_REQUEST


@dataclass(frozen=True, slots=True)
class Instantly:
    """One workspace at Instantly, behind the gate."""

    api: InstantlyApi
    gate: Gate
    ledger: Ledger
    clock: Clock
    options: Options
    webhook_secret: str = field(default="", repr=False)
    sandbox: bool = False


@asynccontextmanager
async def open_instantly(kernel: Kernel) -> AsyncIterator[Instantly]:
    """Open the account as configured; the kernel closes its connections."""
    settings = kernel.settings.vendor(ACCOUNT)
    yield Instantly(
        api=InstantlyApi(kernel.client(ACCOUNT, RULES, reading=READING_POSTS)),
        gate=kernel.gate,
        ledger=kernel.ledger,
        clock=kernel.clock,
        options=kernel.settings.vendor_options(ACCOUNT, Options),
        webhook_secret=settings.secrets.get("webhook_secret", ""),
        sandbox=settings.sandbox,
    )


def refuse_simulated(campaign_ref: str) -> None:
    """A campaign made in safe mode exists nowhere: nothing may be asked of the vendor about it."""
    if campaign_ref.startswith(SIMULATED):
        raise Invalid(
            "this campaign was only simulated; create it with safe mode off",
            field="campaign_ref",
            code="simulated",
        )
