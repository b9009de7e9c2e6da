"""The audit log's newest entries, and the proof that nothing in it was changed."""

from starlette.requests import Request
from starlette.responses import Response

from orchestrator.accounts import Visit
from orchestrator.web.desk import desk, page
from orchestrator.web.session import Form, changing, shown
from shared.audit import Verdict

SHOWN = 100


@shown
async def show(request: Request, visit: Visit) -> Response:
    """Head and tail."""
    return await _page(request, visit, None)


@changing("read")
async def verify(request: Request, visit: Visit, _: Form) -> Response:
    """Recompute every entry and every checkpoint."""
    return await _page(request, visit, await desk(request).app.kernel.audit.verify())


async def _page(request: Request, visit: Visit, verdict: Verdict | None) -> Response:
    audit = desk(request).app.kernel.audit
    entries = await audit.tail(SHOWN)
    return await page(request, "audit.html", visit, entries=entries, head=await audit.head(), verdict=verdict)
