"""When something is due that is done again and again. Pure: the same moments wherever they are asked for."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from zoneinfo import ZoneInfo

from orchestrator.schedule_rules import Rhythm

WEEKDAYS = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


def latest(rhythm: Rhythm, zone: ZoneInfo, now: datetime) -> datetime:
    """The last moment it was due at, up to and including `now`."""
    if rhythm.every_minutes is not None:
        every = timedelta(minutes=rhythm.every_minutes)
        return BEGINNING + (now - BEGINNING) // every * every
    days = _days(rhythm, now.astimezone(zone).date(), -1)
    return next(moment for day in days if (moment := _moment(rhythm, zone, day)) <= now)


def following(rhythm: Rhythm, zone: ZoneInfo, now: datetime) -> datetime:
    """The first moment it is due at after `now`."""
    if rhythm.every_minutes is not None:
        return latest(rhythm, zone, now) + timedelta(minutes=rhythm.every_minutes)
    days = _days(rhythm, now.astimezone(zone).date(), 1)
    return next(moment for day in days if (moment := _moment(rhythm, zone, day)) > now)


def told(rhythm: Rhythm, timezone: str) -> str:
    """`every 5 min`, `Mondays at 06:00 UTC`."""
    if rhythm.every_minutes is not None:
        minutes = rhythm.every_minutes
        return f"every {minutes / 60:g} h" if minutes >= 120 else f"every {minutes:g} min"
    if rhythm.weekday is not None:
        return f"{WEEKDAYS[rhythm.weekday]} at {rhythm.at} {timezone}"
    which = f"day {rhythm.day} of each month" if rhythm.day is not None else "each day"
    return f"{which} at {rhythm.at} {timezone}"


def _days(rhythm: Rhythm, start: date, direction: int) -> Iterator[date]:
    """Days it is due on, from `start` on, backwards or forwards."""
    for step in count():
        day = start + timedelta(days=step * direction)
        if rhythm.weekday in (None, day.weekday()) and rhythm.day in (None, day.day):
            yield day


def _moment(rhythm: Rhythm, zone: ZoneInfo, day: date) -> datetime:
    """That time of day there; an hour that clocks skip counts as the one after, one that comes twice as the first."""
    return datetime.combine(day, time.fromisoformat(rhythm.at), zone).astimezone(UTC)
