"""What stops everything, and what stops a part: anybody from AE up stops, an admin relaxes."""

from starlette.requests import Request
from starlette.responses import Response

from orchestrator.accounts import Visit, need
from orchestrator.web.desk import desk, done, page
from orchestrator.web.session import Form, changing, given, shown
from shared.errors import Invalid
from shared.kernel import Kernel

LONGEST = 500


@shown
async def show(request: Request, visit: Visit) -> Response:
    """Every switch, who set it and why."""
    kernel = desk(request).app.kernel
    rules, vendors = kernel.settings.safety, sorted(kernel.settings.vendors)
    return await page(request, "safety.html", visit, rules=rules, vendors=vendors)


async def _confirm(request: Request, visit: Visit, form: Form) -> None:
    """The visitor's password again: a session left open relaxes nothing."""
    if not await desk(request).accounts.confirm(visit, form.text("password")):
        raise Invalid("the password is wrong, or there were too many tries", code="not_allowed")


# ── stopping ─────────────────────────────────────────────────────────────────────────────────────────────
@changing("stop", even_idle=True)
async def kill(request: Request, visit: Visit, form: Form) -> Response:
    """Nothing begins from the moment this returns. Never asks for more than the press of the button."""
    kernel = desk(request).app.kernel
    reason = " ".join(form.text("reason").split())[:LONGEST] or "pressed in the Gatekeeper"
    stored = await kernel.switches.kill(actor=visit.account.email, reason=reason)
    if stored:
        await kernel.audit.checkpoint("kill")
    if stored and not visit.idle:
        return done("/safety", "killed")
    return await page(request, "killed.html", visit, stored=stored)


@changing("stop", even_idle=True)
async def engage_safe_mode(request: Request, visit: Visit, form: Form) -> Response:
    """Simulate everything from now on."""
    switches, reason = desk(request).app.kernel.switches, form.text("reason").strip()[:LONGEST]
    await switches.engage_safe_mode(actor=visit.account.email, reason=reason or "pressed in the Gatekeeper")
    return done("/safety", "safe_on")


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
    """Release the kill switch as far as the database has a say."""
    kernel, reason = desk(request).app.kernel, given(form, "reason")
    await _confirm(request, visit, form)
    await kernel.switches.release(actor=visit.account.email, reason=reason)
    return done("/safety", "still_killed" if (await kernel.switches.now()).killed else "released")


@changing("relax")
async def leave_safe_mode(request: Request, visit: Visit, form: Form) -> Response:
    """Let effects be real as far as the database has a say."""
    kernel, reason = desk(request).app.kernel, given(form, "reason")
    await _confirm(request, visit, form)
    await kernel.switches.leave_safe_mode(actor=visit.account.email, reason=reason)
    return done("/safety", "safe_off")


@changing("clear_pause")
async def clear(request: Request, visit: Visit, form: Form) -> Response:
    """Let what stands still move again; a halt was set by a rule, so an admin with a password clears it."""
    kernel, scope = desk(request).app.kernel, form.text("scope")
    kind = await _kind(kernel, scope)
    if scope.startswith("campaign:") and kind == "pause":
        raise Invalid("resume this campaign on the campaigns page", code="bad_form")
    if kind == "halt":
        need(visit.person, "relax")
        await _confirm(request, visit, form)
    await kernel.switches.resume(scope, actor=visit.account.email, reason=given(form, "reason"))
    return done("/safety", "cleared")


async def _kind(kernel: Kernel, scope: str) -> str:
    safety = await kernel.switches.now()
    found = next((p.kind for p in safety.pauses if p.scope == scope), "")
    if not found:
        raise Invalid("this doesn't stand still any more", code="not_paused")
    return found
