"""When the audit log's head is signed, and to whom it is given."""

from typing import Annotated

from pydantic import Field, field_validator

from shared.strict import Strict


class WitnessAt(Strict):
    """A witness: `name` and `public_key` as it says itself at its start."""

    name: str = Field(pattern=r"^[!-*,-~]{1,100}$")
    url: str = Field(pattern=r"^https?://[^\s]+$")
    public_key: str = Field(pattern=r"^[0-9a-f]{64}$")


class Checkpoints(Strict):
    """When the audit log's head is signed, and to whom it is given: files, witnesses, our own people."""

    every_leaves: Annotated[int, Field(ge=1, le=100_000)] = 100
    every_seconds: Annotated[float, Field(gt=0, le=3600)] = 60
    publish_to: tuple[str, ...] = ()
    witnesses: tuple[WitnessAt, ...] = ()
    tell_minutes: Annotated[float, Field(ge=0, le=60 * 24 * 7)] = 60

    @field_validator("witnesses")
    @classmethod
    def _each_witness_has_its_name(cls, witnesses: tuple[WitnessAt, ...]) -> tuple[WitnessAt, ...]:
        if len({one.name for one in witnesses}) != len(witnesses):
            raise ValueError("each witness needs a name of its own")
        return witnesses
