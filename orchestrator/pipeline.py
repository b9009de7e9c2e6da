"""The flows: which stage follows which. Durable through `engine.py`; every stage may run again.

research   collect ─ per batch of 100: enrich ─ score
plan       group ─ per campaign: write words and check ─ review        (the flow ends; a person decides)
launch     begin ─ per batch: CRM ─ create draft ─ per batch: add people ─ activate
"""

from collections.abc import Mapping
from typing import Any

from orchestrator import outreach, planning, research, runs
from orchestrator.app import App
from orchestrator.engine import Args, Flow, Step
from orchestrator.enrichment import enrich_batch
from shared.effect import Json
from shared.errors import Invalid, Retryable, SwarmError
from shared.telemetry import logger

log = logger("pipeline")
PASSES = 3  # how often what is in doubt is looked at before a person must
WAIT_SECONDS = 2.0


def flows(app: App) -> Mapping[str, Flow]:
    """Every flow, bound to the open application."""

    def bound(step: Step) -> Step:
        def call(name: str, stage: Any, /, *args: Any) -> Any:
            return step(name, _patient, app, stage, *args)

        return call

    return {
        "research": lambda step, args: _guarded(
            app,
            step,
            args,
            lambda: [_research(bound(step), args), bound(step)("researched", _researched, args["run_id"])],
        ),
        "plan": lambda step, args: _guarded(app, step, args, lambda: _plan(bound(step), args)),
        "run": lambda step, args: _guarded(
            app, step, args, lambda: [_research(bound(step), args), _plan(bound(step), args)]
        ),
        "launch": lambda step, args: _launched(bound(step), args),
    }


async def _patient(app: App, stage: Any, *args: Any) -> Any:
    """Run a stage; what time may cure is waited for, a few times, since every stage may be repeated."""
    for attempt in range(PASSES):
        try:
            return await stage(app, *args)
        except Invalid:
            raise
        except Retryable as error:
            if attempt == PASSES - 1:
                raise
            log.warning("pipeline.stage_again", stage=stage.__name__, code=error.code)
            await app.kernel.clock.sleep(max(error.retry_after, WAIT_SECONDS))
    raise AssertionError("the loop returns or raises")


def _guarded(app: App, step: Step, args: Args, body: Any) -> Json:
    """A run that can't go on says so where people look, and the flow ends as failed."""
    run_id = str(args["run_id"])
    try:
        body()
    except SwarmError as error:
        step("failed", _failed, app, run_id, error.message)
        raise
    except Exception:
        # A bug of ours: whoever looks at the run must see that it ended, and where to find out why.
        step("failed", _failed, app, run_id, "internal error; the log has it under the run's correlation id")
        raise
    return {"run": run_id}


async def _failed(app: App, run_id: str, message: str) -> None:
    """Write the reason into the run."""
    await runs.mark(app.kernel, run_id, state="failed", message=message)


async def _researched(app: App, run_id: str) -> None:
    await runs.mark(app.kernel, run_id, stage="research done", state="researched")


def _research(step: Step, args: Args) -> Json:
    run_id = args["run_id"]
    collected = step("collect", research.collect, run_id)
    for batch in range(collected["batches"]):
        step(f"enrich {batch}", enrich_batch, run_id, batch)
        step(f"score {batch}", research.score_batch, run_id, batch)
    return {"batches": collected["batches"]}


def _plan(step: Step, args: Args) -> Json:
    run_id = args["run_id"]
    grouped = step("group", planning.group, run_id)
    for campaign_id in grouped["campaigns"]:
        step(f"words {campaign_id}", planning.write_words, run_id, campaign_id)
    step("review", planning.to_review, run_id)
    return {"campaigns": len(grouped["campaigns"])}


def _launched(step: Step, args: Args) -> Json:
    """A launch that can't go on leaves the campaign stalled, where a person sees it."""
    try:
        return _launch(step, args)
    except Exception:
        step("stalled", outreach.stall, args["campaign_id"])
        raise


def _launch(step: Step, args: Args) -> Json:
    campaign_id = args["campaign_id"]
    batches = step("begin", outreach.begin, campaign_id)["batches"]
    if not batches:
        return {"status": "not launched"}
    for batch in range(batches):
        step(f"crm {batch}", outreach.write_crm, campaign_id, batch)
    step("create", outreach.create, campaign_id)
    for batch in range(batches):
        step(f"add {batch}", outreach.enrol, campaign_id, batch)
        for again in range(1, PASSES):
            if not step(f"unsettled {batch}.{again}", outreach.unsettled, campaign_id, batch):
                break
            step(f"add {batch}.{again}", outreach.enrol, campaign_id, batch)
    result: Json = step("activate", outreach.activate, campaign_id)
    return result
