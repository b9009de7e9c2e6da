"""What has to stand in Instantly before anything is sent: key, scopes, settings, mailboxes, webhooks."""

from collections.abc import Awaitable, Callable

from servers.instantly.account import Instantly
from servers.instantly.api import every
from servers.instantly.events import SECRET_HEADER
from servers.instantly.subscription import DISABLED, WEBHOOK_PATH
from servers.instantly.views import MAILBOX_STATUS, number_of, text_of
from shared.errors import SwarmError
from shared.ports import Check

READY = MAILBOX_STATUS[1]


async def check_setup(instantly: Instantly) -> tuple[Check, ...]:
    """One line for each; what isn't there says what to do."""
    asked: tuple[tuple[str, Callable[[Instantly], Awaitable[Check]]], ...] = (
        ("unsubscribes", _unsubscribes),
        ("campaigns", _campaigns),
        ("leads", _leads),
        ("mail", _mail),
        ("block list", _blocklist),
        ("mailboxes", _mailboxes),
        ("webhooks", _webhooks),
    )
    return tuple([await _asked(name, ask, instantly) for name, ask in asked])


async def _asked(name: str, ask: Callable[[Instantly], Awaitable[Check]], instantly: Instantly) -> Check:
    """The check, or what kept it from being made: a missing scope, no plan, no answer."""
    try:
        return await ask(instantly)
    except SwarmError as error:
        return Check(name, ok=False, message=error.message)


async def _unsubscribes(instantly: Instantly) -> Check:
    workspace = await instantly.api.workspace()
    if workspace.get("add_unsub_to_block") is True:
        return Check("unsubscribes", ok=True, message="go on the workspace's block list")
    message = (
        "switch on adding unsubscribes to the block list in Instantly's settings; no campaign starts before"
    )
    return Check("unsubscribes", ok=False, message=message)


async def _campaigns(instantly: Instantly) -> Check:
    await instantly.api.campaigns()
    return Check("campaigns", ok=True, message="can be read")


async def _leads(instantly: Instantly) -> Check:
    await instantly.api.leads(["nobody@check.invalid"])
    return Check("leads", ok=True, message="can be read")


async def _mail(instantly: Instantly) -> Check:
    await instantly.api.emails(limit=1)
    return Check("mail", ok=True, message="can be read")


async def _blocklist(instantly: Instantly) -> Check:
    await instantly.api.blocklist()
    return Check("block list", ok=True, message="can be read")


async def _mailboxes(instantly: Instantly) -> Check:
    states = [
        MAILBOX_STATUS.get(number_of(account, "status", 1_000), "unknown")
        async for account in every(instantly.api.mailboxes)
    ]
    if not states:
        return Check("mailboxes", ok=False, message="none is connected; connect one in Instantly")
    sick = sorted({state for state in states if state != READY})
    ready = states.count(READY)
    message = f"{ready} of {len(states)} send" + (f"; the others: {', '.join(sick)}" if sick else "")
    return Check("mailboxes", ok=ready > 0, message=message)


async def _webhooks(instantly: Instantly) -> Check:
    if not instantly.webhook_secret:
        message = "set INSTANTLY_WEBHOOK_SECRET: webhooks can't be told from forged ones without it"
        return Check("webhooks", ok=False, message=message)
    ours = [
        hook
        async for hook in every(instantly.api.webhooks)
        if text_of(hook, "target_hook_url").endswith(WEBHOOK_PATH) and not hook.get("campaign")
    ]
    if not ours:
        return Check("webhooks", ok=False, message="none leads to us; call instantly_ensure_webhooks")
    known = [one for one in ours if (one.get("headers") or {}).get(SECRET_HEADER) == instantly.webhook_secret]
    if not known:
        message = "none carries our secret as it is now; call instantly_ensure_webhooks"
        return Check("webhooks", ok=False, message=message)
    if all(number_of(one, "status", 0) == DISABLED for one in known):
        message = "disabled after failed deliveries; call instantly_ensure_webhooks"
        return Check("webhooks", ok=False, message=message)
    return Check("webhooks", ok=True, message="arrive with our secret")
