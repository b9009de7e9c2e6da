"""The sections `caps` and `ramp_up` of safety.yaml: how much a day, and how slowly a new mailbox begins.

A day is a day in UTC, so it has 24 hours whatever the clocks on the wall do.
"""

from datetime import date
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from shared.strict import Strict

Amount = Annotated[int, Field(ge=0)]


class Caps(Strict):
    """Credits a day per vendor account, effects a day per action, and people a day at one company."""

    credits_per_day: dict[str, Amount] = Field({})
    effects_per_day: dict[str, Amount] = Field({})
    # vendor.action of what has somebody mailed who didn't write first.
    sending: tuple[str, ...] = ()
    # vendor.action of other mail from the same mailboxes: counted, and never refused for it.
    also_mail: tuple[str, ...] = ()
    people_per_domain: Amount = 0  # 0: as many as there are


class Row(Strict):
    """From this day of a mailbox on, the first being 1, it may send so many mails a day."""

    from_day: Annotated[int, Field(ge=1, le=365)]
    mails: Annotated[int, Field(ge=1, le=500)]


class Mailbox(Strict):
    """A mailbox that sends. `stage` holds it in that row of the table, the first being 1, however old it gets."""

    address: str = Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")
    started: date
    stage: Annotated[int, Field(ge=1)] | None = None


TABLE = ((1, 5), (8, 10), (15, 20), (22, 30), (29, 35))


class RampUp(Strict):
    """How many mails a day the mailboxes of a vendor account may send, by their age."""

    vendor: str = "instantly"
    table: tuple[Row, ...] = tuple(Row(from_day=day, mails=mails) for day, mails in TABLE)
    growth_percent: Annotated[float, Field(gt=0, le=100)] = 20
    mailboxes: tuple[Mailbox, ...] = ()
    mailboxes_per_domain: Annotated[int, Field(ge=1)] = 3
    step_back_on: tuple[str, ...] = ("bounces", "complaints", "complaint")
    step_back_days: Annotated[int, Field(ge=0, le=90)] = 7

    @field_validator("table")
    @classmethod
    def _begins_on_the_first_day_and_grows(cls, table: tuple[Row, ...]) -> tuple[Row, ...]:
        days, mails = [row.from_day for row in table], [row.mails for row in table]
        if not table or days[0] != 1 or days != sorted(set(days)) or mails != sorted(mails):
            raise ValueError("rows begin with day 1; days rise from row to row, and mails don't fall")
        return table

    @model_validator(mode="after")
    def _names_rows_and_mailboxes_that_are_there(self) -> Self:
        if any((box.stage or 1) > len(self.table) for box in self.mailboxes):
            raise ValueError("a mailbox's stage is the number of a row of the table")
        addresses = [box.address.lower() for box in self.mailboxes]
        if len(set(addresses)) != len(addresses):
            raise ValueError("a mailbox stands here twice")
        return self
