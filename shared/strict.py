"""What every section of the configuration is made of."""

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """A configuration section: unknown keys are refused, values don't change."""

    model_config = ConfigDict(extra="forbid", frozen=True)
