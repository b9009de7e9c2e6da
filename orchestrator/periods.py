"""The days, weeks and months that reports are about: whole ones, in the time zone of schedules.yaml. Pure."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

PeriodName = Literal["daily", "weekly", "monthly"]


@dataclass(frozen=True, slots=True)
class Period:
    """From the first moment to the one that is no longer in it, in UTC."""

    name: PeriodName
    begins: datetime
    ends: datetime
    title: str  # `28 Nov 2026`, `week of 23 Nov 2026`, `November 2026`


def last_whole(name: PeriodName, now: datetime, zone: ZoneInfo) -> Period:
    """The last one that is over."""
    return around(name, around(name, now.astimezone(zone).date(), zone).begins - timedelta(hours=1), zone)


def around(name: PeriodName, moment: datetime | date, zone: ZoneInfo) -> Period:
    """The one that a moment or a day lies in; it may not be over yet."""
    day = moment.astimezone(zone).date() if isinstance(moment, datetime) else moment
    if name == "weekly":
        first = day - timedelta(days=day.weekday())
        return _period(name, first, first + timedelta(days=7), f"week of {_told(first)}", zone)
    if name == "monthly":
        first = day.replace(day=1)
        after = (first + timedelta(days=31)).replace(day=1)
        return _period(name, first, after, f"{first:%B %Y}", zone)
    return _period(name, day, day + timedelta(days=1), _told(day), zone)


def _told(day: date) -> str:
    return f"{day.day} {day:%b %Y}"


def _period(name: PeriodName, first: date, after: date, title: str, zone: ZoneInfo) -> Period:
    begins, ends = (datetime.combine(day, time(), zone).astimezone(UTC) for day in (first, after))
    return Period(name, begins, ends, title)
