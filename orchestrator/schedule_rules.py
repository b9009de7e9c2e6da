"""schedules.yaml: what is done again and again, and in which rhythm, as it is validated."""

from typing import Annotated, Literal, Self, get_args
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field, field_validator, model_validator

from shared.strict import Strict

# A schedule has its name here, its rhythm in schedules.yaml, and what it does in `timetable.py`.
Schedule = Literal[
    "suppression_sweep",
    "privacy",
    "retention",
    "suppression_sync",
    "daily_report",
    "weekly_report",
    "monthly_report",
    "handoff_times",
    "absences",
    "renewal",
    "sequencer_missed",
    "crm_missed",
]
# What webhooks missed is found within a quarter of an hour, also where one look fails.
ASKED_OFTEN: tuple[Schedule, ...] = ("sequencer_missed", "crm_missed")
SELDOMEST = 7  # minutes
A_MONTH = 31 * 24 * 60


class Rhythm(Strict):
    """Every so many minutes, or at a time of day: each day, on a weekday (0 is Monday), or on a day of the month."""

    every_minutes: Annotated[float, Field(ge=1, le=A_MONTH)] | None = None
    at: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] = ""
    weekday: Annotated[int, Field(ge=0, le=6)] | None = None
    day: Annotated[int, Field(ge=1, le=28)] | None = None  # every month has it
    late_minutes: Annotated[float, Field(ge=1, le=A_MONTH)] = 15  # so long after it was due, somebody is told
    longest_minutes: Annotated[float, Field(ge=1, le=24 * 60)] = 30  # it is cut off then, and tried again

    @field_validator("at", mode="before")
    @classmethod
    def _quoted(cls, at: object) -> object:
        if isinstance(at, int):
            raise ValueError('a time of day stands in quotes: "06:00"')  # noqa: TRY004 - pydantic tells a ValueError with its line
        return at

    @model_validator(mode="after")
    def _one_rhythm(self) -> Self:
        if (self.every_minutes is None) == (self.at == ""):
            raise ValueError("either every_minutes or at")
        if not self.at and (self.weekday is not None or self.day is not None):
            raise ValueError("weekday and day need at")
        if self.weekday is not None and self.day is not None:
            raise ValueError("weekday or day, not both")
        return self

    def is_within(self, minutes: float) -> bool:
        """Whether it is due at least so often."""
        return self.every_minutes is not None and self.every_minutes <= minutes


class ScheduleRules(Strict):
    """schedules.yaml."""

    timezone: str
    late_round_seconds: Annotated[float, Field(ge=60, le=3600)] = 300
    schedules: dict[Schedule, Rhythm]

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        if name not in available_timezones():
            raise ValueError("expected a time zone such as UTC or Europe/Berlin")
        return name

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if missing := [name for name in get_args(Schedule) if name not in self.schedules]:
            raise ValueError(f"a row is missing for {', '.join(missing)}")
        if seldom := [name for name in ASKED_OFTEN if not self.schedules[name].is_within(SELDOMEST)]:
            raise ValueError(f"{', '.join(seldom)}: every_minutes of {SELDOMEST} at most")
        return self

    @property
    def zone(self) -> ZoneInfo:
        """Where times of day, weekdays and months are those of."""
        return ZoneInfo(self.timezone)
