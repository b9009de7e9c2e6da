"""The sixteen traps of Instantly's API that its emulator lays, each of which can be taken away and laid again.

Fifteen lie there from the start, because the vendor lays them; `no_plan` is laid only when asked for. The action
`POST /_control/act/traps` with {"page_over_100_is_empty": false, …} chooses; it answers how all of them stand.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.sandbox import Sandbox


@dataclass(frozen=True, slots=True)
class Trap:
    """What it does while it lies there, and whether it does so from the start."""

    what: str
    laid: bool = True


TRAPS: Mapping[str, Trap] = {
    "page_over_100_is_empty": Trap("a limit over 100 answers no items instead of an error"),
    "cursor_on_last_page": Trap("the last page carries a cursor like any other"),
    "success_that_is_none": Trap(
        "an import answers 200 and skips people; a test mail answers 200 with an error"
    ),
    "accepted_is_not_applied": Trap("an interest status answers 202 and is applied later"),
    "campaign_or_campaign_id": Trap(
        "what a list isn't called there is ignored: `campaign_id` lists everybody"
    ),
    "closed_time_zones": Trap("only 102 time zones are accepted"),
    "days_from_sunday": Trap("day 0 of a schedule is Sunday"),
    "delay_is_the_gap_after": Trap("a step's delay is the wait before the next step"),
    "delete_takes_all": Trap("deleting a collection without ids deletes all of it"),
    "webhook_names_differ": Trap("an event is named otherwise than its subscription"),
    "automatic_replies_apart": Trap("automatic replies are not in the count of replies"),
    "too_large": Trap("analytics of mailboxes that aren't named answer 413"),
    "mail_has_its_own_limit": Trap("20 reads of mail a minute, refused ones included"),
    "checking_costs": Trap("verifying an address spends credits, on import too"),
    "no_plan": Trap("everything answers 402: the workspace has no paid plan", laid=False),
    "misspelt_in_the_document": Trap(
        "`reyply_to_uuid`, as the document's prose has it, is not the field's name"
    ),
}


class Traps:
    """Which of them lie there now; part of the emulator's state."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    def on(self, name: str) -> bool:
        """Whether this one lies there."""
        chosen: Mapping[str, bool] = self.sandbox.state["traps"]
        return chosen.get(name, TRAPS[name].laid)

    async def choose(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """The action `traps`: lay or take away those named; all of them as they then stand."""
        if unknown := sorted(arguments.keys() - TRAPS.keys()):
            return {"error": f"no such trap: {', '.join(unknown)}", "traps": sorted(TRAPS)}
        self.sandbox.state["traps"].update({name: bool(on) for name, on in arguments.items()})
        self.sandbox.save()
        return {name: self.on(name) for name in TRAPS}
