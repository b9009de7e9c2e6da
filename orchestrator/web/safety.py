"""What stops everything, and what stops a part: anybody from AE up stops, an admin relaxes."""

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from orchestrator import doubts, relaxing, standstill
from orchestrator.accounts import Visit, need
from orchestrator.app import App
from orchestrator.situation import situation
from orchestrator.unconfirmed import unconfirmed_in
from orchestrator.web.desk import desk, done, page
from orchestrator.web.session import Form, changing, confirm, given, shown
from shared.errors import ConfigError, Invalid, SwarmError
from shared.store import Unavailable
from shared.telemetry import logger

log = logger("safety")
LONGEST = 500
BY_FILE = "Stopped, by the flag file. The database can't be read; `swarm status` on the host tells more."


@shown
async def show(request: Request, visit: Visit) -> Response:
    """Every switch, who set it and why; what a stop leaves to end by itself; what is in doubt."""
    kernel = desk(request).app.kernel
    return await page(
        request,
        "safety.html",
        visit,
        now=await situation(kernel),
        doubts=await doubts.doubts(kernel),
        unconfirmed=await kernel.store.read(lambda c: unconfirmed_in(c, kernel.clock.now())),
        rules=kernel.settings.safety,
        vendors=sorted(kernel.settings.vendors),
    )


# ── stopping ─────────────────────────────────────────────────────────────────────────────────────────────
@changing("stop", even_idle=True)
async def kill(request: Request, visit: Visit, form: Form) -> Response:
    """Nothing begins from the moment this returns. Never asks for more than the press of the button."""
    kernel = desk(request).app.kernel
    reason = " ".join(form.text("reason").split())[:LONGEST] or "pressed in the Gatekeeper"
    stored = await kernel.switches.kill(actor=visit.account.email, reason=reason)
    if stored:
        await kernel.audit.try_checkpoint("kill")
    if stored and not visit.idle:
        answer = done("/safety", "killed")
    else:
        answer = await _killed(request, visit, stored=stored)
    answer.background = BackgroundTask(_pause_at_vendor, desk(request).app, reason)
    return answer


async def _killed(request: Request, visit: Visit, *, stored: bool) -> Response:
    """What was done, for somebody who may see no other page now, and whatever the database does meanwhile."""
    kernel = desk(request).app.kernel
    try:
        now, rules = await situation(kernel), kernel.settings.safety
        return await page(request, "killed.html", visit, stored=stored, now=now, rules=rules)
    except Unavailable:
        return PlainTextResponse(BY_FILE)


async def _pause_at_vendor(app: App, reason: str) -> None:
    """After the answer: nobody waits for a vendor that is down. The worker goes on trying."""
    try:
        await standstill.pause_at_vendor(app, await app.kernel.switches.now(), reason)
    except* (ConfigError, SwarmError) as failed:
        log.warning(
            "kill.vendor_not_reached", errors=sorted({type(one).__name__ for one in failed.exceptions})
        )


@changing("stop", even_idle=True)
async def engage_safe_mode(request: Request, visit: Visit, form: Form) -> Response:
    """Simulate everything from now on."""
    switches, reason = desk(request).app.kernel.switches, form.text("reason").strip()[:LONGEST]
    reason = reason or "pressed in the Gatekeeper"
    await switches.engage_safe_mode(actor=visit.account.email, reason=reason)
    answer = done("/safety", "safe_on")
    answer.background = BackgroundTask(_pause_at_vendor, desk(request).app, reason)
    return answer


@changing("stop", even_idle=True)
async def pause(request: Request, visit: Visit, form: Form) -> Response:
    """Make everything, or one vendor, stand still."""
    kernel, scope = desk(request).app.kernel, form.text("scope")
    if scope not in {"all", *(f"vendor:{name}" for name in kernel.settings.vendors)}:
        raise Invalid("choose what to pause", field="scope", code="bad_form")
    await kernel.switches.pause(scope, actor=visit.account.email, reason=given(form, "reason"))
    return done("/safety", "paused_here")


# ── relaxing ─────────────────────────────────────────────────────────────────────────────────────────────
@changing("relax")
async def release(request: Request, visit: Visit, form: Form) -> Response:
    """Release the kill switch as far as the database has a say, or ask for it."""
    kernel, reason, epoch = desk(request).app.kernel, given(form, "reason"), form.number("epoch")
    await confirm(request, visit, form)
    answer = await relaxing.release(kernel, person=visit.person, reason=reason, epoch=epoch)
    if not answer.done:
        return done("/safety", "asked")
    if (await kernel.switches.now()).killed:
        return done("/safety", "still_killed")
    return done("/safety", "released_some_back" if answer.to_review else "released")


@changing("relax")
async def leave_safe_mode(request: Request, visit: Visit, form: Form) -> Response:
    """Let effects be real as far as the database has a say, or ask for it."""
    kernel, reason, epoch = desk(request).app.kernel, given(form, "reason"), form.number("epoch")
    await confirm(request, visit, form)
    answer = await relaxing.leave_safe_mode(kernel, person=visit.person, reason=reason, epoch=epoch)
    return done("/safety", "safe_off" if answer.done else "asked")


@changing("clear_pause")
async def clear(request: Request, visit: Visit, form: Form) -> Response:
    """Let what stands still move again; a halt was set by a rule, so admins with their passwords clear it."""
    kernel, scope = desk(request).app.kernel, form.text("scope")
    pause = relaxing.standing_at(await kernel.switches.now(), scope)
    if pause is None:
        raise Invalid("this doesn't stand still any more", code="not_paused")
    if scope.startswith("campaign:") and pause.kind == "pause":
        raise Invalid("resume this campaign on the campaigns page", code="bad_form")
    if pause.kind == "halt":
        need(visit.person, "relax")
        await confirm(request, visit, form)
    answer = await relaxing.clear(kernel, scope, person=visit.person, reason=given(form, "reason"))
    return done("/safety", "cleared" if answer.done else "asked")


@changing("settle")
async def settle(request: Request, visit: Visit, form: Form) -> Response:
    """Say how an effect in doubt ended: the person looked at the vendor, and gives their password again."""
    kernel, ended = desk(request).app.kernel, form.text("as")
    if ended not in {"applied", "failed"}:
        raise Invalid("choose whether it was done", field="as", code="bad_form")
    reason = given(form, "reason")
    await confirm(request, visit, form)
    await doubts.resolve(
        kernel, form.text("key"), applied=ended == "applied", person=visit.person, reason=reason
    )
    return done("/safety", "settled")
