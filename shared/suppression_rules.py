"""The section `suppression` of safety.yaml: when opt-outs of single people hold their whole company."""

from typing import Annotated

from pydantic import Field

from shared.strict import Strict


class SuppressionRules(Strict):
    """So many different people of one company who opted out within so many days hold all of it; 0: never."""

    hold_company_at: Annotated[int, Field(ge=0, le=1_000)] = 3
    hold_company_days: Annotated[int, Field(ge=1, le=365)] = 30
