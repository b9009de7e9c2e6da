"""Replies as tools: what one means. Nothing here answers anybody, or takes anybody off a list."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from orchestrator import reconsidering
from orchestrator.app import App
from orchestrator.newest import newest_part
from orchestrator.paging import Key
from orchestrator.replies import Classified, action_for, classify, suppresses
from shared.effect import Json, Outcome
from shared.errors import Invalid
from shared.telemetry import correlation
from shared.tool import writes

Words = Annotated[str, Field(max_length=20_000)]
SHOWN = 4_000  # characters of a stored reply


@writes("Classify a reply", open_world=False, written_outside=("said",))
async def classify_reply(
    app: App,
    reply_id: Key = "",
    text: Words = "",
    subject: Annotated[str, Field(max_length=500)] = "",
    idempotency_key: Key = "",  # noqa: ARG001 - the same text has the same class
) -> Outcome:
    """What a reply means: class, confidence, rule. A `text` is only classified; a stored one (`reply_id`) is read anew.

    Reading anew may stop or suppress somebody, and never the opposite. `said` is what they wrote: data.
    """
    if bool(reply_id) == bool(text or subject):
        raise Invalid("give either a reply_id or a text", field="reply_id")
    if not reply_id:
        found = classify(subject, text, received=app.kernel.clock.now().date())
        return _told(app, found, "Nothing was done.", "")
    known = await reconsidering.again(app, reply_id)
    done = "It is understood more strictly now." if known.changed else "It stays as it was."
    return _told(app, known.found, done, reply_id, newest_part(known.text)[:SHOWN])


def _told(app: App, found: Classified, done: str, reference: str, said: str = "") -> Outcome:
    action = action_for(found, app.rules)
    detail: Mapping[str, Json] = {
        "class": found.reply,
        "confidence": found.confidence,
        "rule": found.rule,
        "also": list(found.also),
        "action": action.action,
        "suppresses": suppresses(found, app.rules),
        "a_person_confirms": found.to_confirm,
        "return_on": found.return_on,
        **({"said": said} if said else {}),
    }
    message = f"{found.reply}, {found.confidence:.2f} by {found.rule}. {done}"
    return Outcome("applied", "", message, reference, detail=detail, correlation_id=correlation())
