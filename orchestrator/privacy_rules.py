"""privacy.yaml: how soon requests are answered, how long what is kept, and what the record of processing says."""

from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from shared.strict import Strict

Text = Annotated[str, Field(min_length=3, max_length=600)]


class Deadlines(Strict):
    """How long a request may take, from when it was asked. The law's month is the longest."""

    access_days: Annotated[int, Field(ge=1, le=30)] = 30
    erasure_hours: Annotated[int, Field(ge=1, le=30 * 24)] = 24
    rectification_hours: Annotated[int, Field(ge=1, le=30 * 24)] = 72
    vendor_days: Annotated[int, Field(ge=1, le=30)] = 30  # what has to be done at a vendor by hand


Aged = Literal["answered", "silent", "uncontacted", "referral", "webhook", "file", "request", "login"]


class Period(Strict):
    """How long something is kept, and why no longer."""

    days: Annotated[int, Field(ge=1, le=10 * 366)]
    why: Text


class Retention(Strict):
    """What is removed by itself; `batch`: how many people in one transaction."""

    batch: Annotated[int, Field(ge=1, le=1_000)] = 200
    rules: dict[Aged, Period]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if missing := [name for name in get_args(Aged) if name not in self.rules]:
            raise ValueError(f"a row is missing for {', '.join(missing)}")
        if self.rules["webhook"].days < 30:
            raise ValueError("webhook: at least 30 days, for as long as vendors deliver again")
        return self


class Purpose(Strict):
    """Why people's data is processed, and on what ground."""

    what: Text
    basis: Text


class Recipient(Strict):
    """A vendor: what it gets, where it is, and on what ground data goes there."""

    what: Text
    where: Text
    transfer: Text


class Record(Strict):
    """What the record of processing says that no code knows."""

    controller: Text
    contact: Text
    purposes: tuple[Purpose, ...] = Field(min_length=1)
    subjects: Text
    recipients: dict[str, Recipient]


class PrivacyRules(Strict):
    """privacy.yaml."""

    deadlines: Deadlines = Deadlines()
    retention: Retention
    record: Record
    # What has to be done by hand where our program doesn't or can't: per vendor, in order.
    by_hand: dict[str, tuple[Text, ...]]

    @model_validator(mode="after")
    def _says_what_to_do(self) -> Self:
        if empty := [name for name, steps in self.by_hand.items() if not steps]:
            raise ValueError(f"no step for {', '.join(empty)}")
        if "other" not in self.by_hand:
            raise ValueError("a row is missing for other: what is done at a vendor that has none")
        return self
