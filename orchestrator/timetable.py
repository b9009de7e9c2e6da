"""What each schedule does. A schedule has its name in `schedule_rules.py`, its rhythm in schedules.yaml, its work here.

What it does may be repeated, is given the moment it was due at, and returns counts (never text from outside).
"""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime

from orchestrator import absences, breaches, catching_up, missed, renewing, reporting, stops, syncing
from orchestrator.app import App
from orchestrator.periods import PeriodName
from orchestrator.privacy import work as go_on_with_requests
from orchestrator.retention import apply as remove_aged
from orchestrator.schedule_rules import Schedule
from orchestrator.schedules import Do, Task
from shared.clock import iso


async def _suppression_sweep(app: App, _: datetime) -> dict[str, int]:
    return {"stopped": await stops.sweep(app.kernel)}


async def _retention(app: App, _: datetime) -> dict[str, int]:
    return await remove_aged(app)


async def _privacy(app: App, _: datetime) -> dict[str, int]:
    return {"waiting": await go_on_with_requests(app)}


async def _suppression_sync(app: App, _: datetime) -> dict[str, int]:
    return asdict(await syncing.sync(app))


def _report(name: PeriodName) -> Do:
    async def keep(app: App, occasion: datetime) -> str:
        return await reporting.keep(app, name, iso(occasion))

    return keep


async def _handoff_times(app: App, _: datetime) -> dict[str, int]:
    return {"breached": await breaches.work(app)}


async def _absences(app: App, _: datetime) -> dict[str, int]:
    return {"back": await absences.work(app)}


async def _sequencer_missed(app: App, _: datetime) -> dict[str, int]:
    return {"news": await missed.work(app)}


async def _crm_missed(app: App, _: datetime) -> dict[str, int]:
    return {"news": await catching_up.look(app)}


async def _renewal(app: App, _: datetime) -> dict[str, int]:
    return await renewing.work(app)


TIMETABLE: Mapping[Schedule, Task] = {
    "suppression_sweep": Task(
        "takes whoever is on the do-not-contact list out of the campaigns they run in", _suppression_sweep
    ),
    "retention": Task("removes what is older than privacy.yaml allows", _retention),
    "privacy": Task("goes on with erasures and corrections that had to wait", _privacy),
    "suppression_sync": Task(
        "compares our do-not-contact list with the vendors', and tells each what it lacks", _suppression_sync
    ),
    "daily_report": Task("keeps a report of the day that ended", _report("daily")),
    "weekly_report": Task("keeps a report of the week that ended", _report("weekly")),
    "monthly_report": Task("keeps a report of the month that ended", _report("monthly")),
    "handoff_times": Task("notes handoffs that nobody took within the promised time", _handoff_times),
    "absences": Task("hands whoever was away, and is back, to a person", _absences),
    "renewal": Task("looks up again whoever was looked up too long ago, some at a time", _renewal),
    "sequencer_missed": Task("asks for deliveries that failed, and for replies", _sequencer_missed),
    "crm_missed": Task(
        "asks the CRM for e-mails and do-not-contact marks that no webhook told of", _crm_missed
    ),
}
