"""The flows: which stage follows which. Durable through `engine.py`; every stage may run again.

research   collect ─ per batch of 100: enrich ─ score ─ findings
plan       group ─ per campaign: write words and check ─ review        (the flow ends; a person decides)
launch     begin ─ per batch: CRM ─ create draft ─ per batch: add people ─ activate ─ settle
schedule   carry out ─ done, or failed                                 (`schedules.py`)

What goes wrong in a stage is told to the flow as a sentence of ours: the engine never keeps an exception.
"""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from orchestrator import (
    crm,
    enrolment,
    implementing,
    outreach,
    planning,
    research,
    runs,
    schedules,
    surveying,
)
from orchestrator.app import App
from orchestrator.engine import Args, Flow, Stage, Step
from orchestrator.enrichment import enrich_batch
from orchestrator.timetable import TIMETABLE
from shared.effect import Json
from shared.errors import Fatal, Retryable, SwarmError
from shared.telemetry import correlated, logger

log = logger("pipeline")
TRIES = 6  # of a stage that time may help
FIRST_WAIT = 2.0  # seconds; twice as long each time
PASSES = 4  # how often people whom time may help are asked for before the launch goes on without them
BUG = "internal error; the log has it under the run's correlation id"


def flows(app: App) -> Mapping[str, Flow]:
    """Every flow, bound to the open application."""

    def bound(step: Step) -> Step:
        def call(name: str, stage: Stage, /, *args: Any) -> Any:
            told = step(name, _told, app, stage, *args)
            if "failed" in told:
                raise Fatal(told["failed"], code="stage_failed")
            return told["done"]

        return call

    def flow(body: Callable[[Step, Args], Json]) -> Flow:
        return lambda step, args: body(bound(step), args)

    return {
        "research": flow(lambda step, args: _guarded(step, args, _research, _researched)),
        "plan": flow(lambda step, args: _guarded(step, args, _plan)),
        "run": flow(lambda step, args: _guarded(step, args, _research, _plan)),
        "launch": flow(_launched),
        "schedule": flow(schedules.flow(TIMETABLE)),
    }


# ── one stage ────────────────────────────────────────────────────────────────────────────────────────────
async def _told(app: App, stage: Stage, *args: Any) -> dict[str, Any]:
    """What the stage returned, or why it can't go on."""
    try:
        # However often it runs, what it reads counts as one operation.
        with correlated(), app.kernel.tracing.span(f"step {_name(stage)}", {"swarm.step": _name(stage)}):
            return {"done": await _patient(app, stage, *args)}
    except SwarmError as error:
        log.warning("pipeline.stage_failed", stage=_name(stage), kind=error.kind, code=error.code)
        return {"failed": error.message}
    except Exception:
        # A bug of ours: whoever looks at the run must see that it ended, and where to find out why.
        log.exception("pipeline.stage_broke", stage=_name(stage))
        return {"failed": BUG}


async def _patient(app: App, stage: Stage, *args: Any) -> Any:
    """Run a stage; what time may cure is waited for, a few times, since every stage may be repeated."""
    wait = FIRST_WAIT
    for _ in range(TRIES - 1):
        try:
            return await stage(app, *args)
        except Retryable as error:
            log.warning("pipeline.stage_again", stage=_name(stage), code=error.code)
            await app.kernel.clock.sleep(max(error.retry_after, wait))
            wait *= 2
    return await stage(app, *args)


def _name(stage: Stage) -> str:
    return str(getattr(stage, "__name__", "stage"))


# ── a run ────────────────────────────────────────────────────────────────────────────────────────────────
def _guarded(step: Step, args: Args, *parts: Callable[[Step, Args], object]) -> Json:
    """A run that can't go on says so where people look, and the flow ends as failed."""
    mine = _while_wanted(step, args["run_id"])
    try:
        for part in parts:
            part(mine, args)
    except Fatal as error:
        step("failed", _failed, args["run_id"], error.message)
        raise
    return {"run": args["run_id"]}


def _while_wanted(step: Step, run_id: Json) -> Step:
    """Begins no stage of a run that somebody cancelled."""

    def call(name: str, stage: Stage, /, *args: Any) -> Any:
        @wraps(stage)
        async def wanted(app: App, *given: Any) -> Any:
            if (await runs.get(app.kernel, str(run_id))).state == "cancelled":
                raise Fatal("this run was cancelled", code="cancelled")
            return await stage(app, *given)

        return step(name, wanted, *args)

    return call


async def _failed(app: App, run_id: str, message: str) -> None:
    """Write the reason into the run."""
    await runs.fail(app.kernel, run_id, message)


def _research(step: Step, args: Args) -> None:
    run_id = args["run_id"]
    collected = step("collect", research.collect, run_id)
    for batch in range(collected["batches"]):
        step(f"enrich {batch}", enrich_batch, run_id, batch)
        step(f"score {batch}", research.score_batch, run_id, batch)
    step("findings", surveying.write_findings, run_id)


def _researched(step: Step, args: Args) -> None:
    step("researched", research.ended, args["run_id"])


def _plan(step: Step, args: Args) -> None:
    run_id = args["run_id"]
    grouped = step("group", planning.group, run_id)
    for campaign_id in grouped["campaigns"]:
        step(f"words {campaign_id}", planning.write_words, run_id, campaign_id)
    step("review", planning.to_review, run_id)


# ── a launch ─────────────────────────────────────────────────────────────────────────────────────────────
def _launched(step: Step, args: Args) -> Json:
    """A launch that can't go on leaves the campaign stalled, where a person sees it."""
    try:
        ended = _launch(step, args)
    except Fatal as error:
        step("stalled", outreach.stall, args["campaign_id"], error.message, args["version"])
        step("settle", implementing.settle, args["campaign_id"])
        raise
    step("settle", implementing.settle, args["campaign_id"])
    return ended


def _launch(step: Step, args: Args) -> Json:
    campaign_id = args["campaign_id"]
    starts = step("begin", outreach.begin, campaign_id, args["version"])["starts"]
    if not starts:
        return {"state": "not launched"}
    for number, start in enumerate(starts):
        _settle(step, f"crm {number}", crm.write_crm, campaign_id, start)
    step("create", outreach.create, campaign_id)
    for number, start in enumerate(starts):
        _settle(step, f"add {number}", enrolment.enrol, campaign_id, start)
    result: Json = step("activate", outreach.activate, campaign_id)
    return result


def _settle(step: Step, name: str, stage: Stage, campaign_id: Json, start: Json) -> None:
    """A stage over a batch of people, and again for those whom time may help."""
    step(name, stage, campaign_id, start)
    for turn in range(1, PASSES):
        if not step(f"{name} left {turn}", enrolment.wait_for_time, campaign_id, start, turn):
            return
        step(f"{name} again {turn}", stage, campaign_id, start)
