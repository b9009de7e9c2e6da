"""What each schedule does. A schedule has its name in `schedule_rules.py`, its rhythm in schedules.yaml, its work here.

What it does may be repeated, is given the moment it was due at, and returns counts (never text from outside).
"""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime

from orchestrator import stops, syncing
from orchestrator.app import App
from orchestrator.schedule_rules import Schedule
from orchestrator.schedules import Task


async def _suppression_sweep(app: App, _: datetime) -> dict[str, int]:
    return {"stopped": await stops.sweep(app.kernel)}


async def _suppression_sync(app: App, _: datetime) -> dict[str, int]:
    return asdict(await syncing.sync(app))


TIMETABLE: Mapping[Schedule, Task] = {
    "suppression_sweep": Task(
        "takes whoever is on the do-not-contact list out of the campaigns they run in", _suppression_sweep
    ),
    "suppression_sync": Task(
        "compares our do-not-contact list with the vendors', and tells each what it lacks", _suppression_sync
    ),
}
