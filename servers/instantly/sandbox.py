"""An emulator of Instantly's API v2, faithful to its published contract and to the traps met in production.

    drafts on create · mailboxes of the create call ignored · unknown fields refused · markup read back rewritten
    sixteen traps, each of which can be taken away: see `sandbox_traps.py`

Actions (`POST /_control/act/…`): `run` sends what is due, `pace` sets how fast it sends by itself, `traps` chooses
the traps, `receive` has a person write, `happen` brings about another event, `workspace` changes settings,
`disable_webhook` does what the vendor does after failed deliveries.
"""

from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from servers.instantly.sandbox_blocklist import Blocklist
from servers.instantly.sandbox_campaigns import Campaigns
from servers.instantly.sandbox_inbox import Inbox
from servers.instantly.sandbox_leads import Leads
from servers.instantly.sandbox_mail import Mail
from servers.instantly.sandbox_traps import Traps
from servers.instantly.sandbox_webhooks import Webhooks
from servers.instantly.sandbox_workspace import Workspace
from shared.clock import Clock
from shared.sandbox import Sandbox

PACE = 0.03  # seconds between two messages of a campaign


def build(state_file: Path | None = None, *, pace: float = PACE, clock: Clock | None = None) -> ASGIApp:
    """The emulator as an ASGI application; state lives in `state_file` if one is given."""
    sandbox = Sandbox("instantly", initial=_initial, state_file=state_file, clock=clock)
    for kind, empty in _initial().items():  # a state file of an earlier version has fewer
        sandbox.state.setdefault(kind, empty)
    traps = Traps(sandbox)
    mail = Mail(sandbox, traps, pace)
    webhooks, workspace = Webhooks(sandbox, traps), Workspace(sandbox, traps, mail.started)
    blocklist = Blocklist(sandbox, traps)
    sandbox.actions = {
        "run": mail.run,
        "pace": mail.set_pace,
        "receive": mail.receive,
        "happen": mail.happen,
        "traps": traps.choose,
        "workspace": workspace.set_workspace,
        "disable_webhook": webhooks.disable,
        "block": blocklist.block,
    }
    parts = (
        Campaigns(sandbox, traps, mail.started),
        Leads(sandbox, traps, mail.started),
        blocklist,
        Inbox(sandbox, traps),
        webhooks,
        workspace,
    )
    emulator = sandbox.app([route for part in parts for route in part.routes()])

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        mail.wake()
        await emulator(scope, receive, send)

    return app


def _initial() -> dict[str, Any]:
    kinds = (
        "campaigns",
        "leads",
        "progress",
        "blocklist",
        "webhooks",
        "emails",
        "traps",
        "sent_at",
        "deliveries",
    )
    workspace = {"add_unsub_to_block": True, "credits_used": 0, "mailboxes": {}}
    return {**{kind: {} for kind in kinds}, "interests": [], "workspace": workspace}
