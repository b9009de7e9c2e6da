"""The review queue, a campaign with every word it would send, and a person's decisions about it."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from orchestrator import review
from orchestrator.accounts import Visit
from orchestrator.dossier import OPEN, Detail, Recipient, recipient_of
from orchestrator.provenance import words_of
from orchestrator.web import plans
from orchestrator.web.desk import desk, done, page
from orchestrator.web.session import Form, changing, shown
from shared.errors import Conflict, Invalid
from shared.ports import Message


@shown
async def show_queue(request: Request, visit: Visit) -> Response:
    """What waits, the most urgent first."""
    kernel = desk(request).app.kernel
    waiting, asked = await review.queue(kernel), await plans.waiting(kernel)
    return await page(request, "reviews.html", visit, waiting=waiting, plans=asked)


@shown
async def show(request: Request, visit: Visit) -> Response:
    """A campaign and a page of its people."""
    asked = request.query_params.get("page", "1")
    number = int(asked) if asked.isdecimal() and len(asked) < 6 else 1
    kernel = desk(request).app.kernel
    found = await review.detail(kernel, request.path_params["id"], page=number, reader=visit.account.email)
    words, unread = await words_of(kernel, found.id, visit.account.email)
    return await page(
        request,
        "review.html",
        visit,
        campaign=found,
        words=words,
        words_unread=unread,
        together=_together(found),
        open=OPEN,
        why_not=await review.why_not(kernel, found.id, person=visit.person),
    )


def _together(found: Detail) -> list[str]:
    """Who on this page may be noted as read in one go."""
    mine = [one for one in found.recipients if one.state == "drafted" and not one.read]
    return [one.lead_id for one in mine if not one.alone]


@changing("approve")
async def read(request: Request, visit: Visit, form: Form) -> Response:
    """These were read by this person; on to the next page, or back to the same one."""
    kernel, campaign_id = desk(request).app.kernel, request.path_params["id"]
    await review.mark_read(
        kernel, campaign_id, form.all("lead"), person=visit.person, version=form.number("version")
    )
    return done(f"/reviews/{campaign_id}?page={form.number('page')}", "read")


@changing("approve")
async def read_words(request: Request, visit: Visit, form: Form) -> Response:
    """The words as such were read by this person, with what changed in them."""
    kernel, campaign_id = desk(request).app.kernel, request.path_params["id"]
    await review.mark_words_read(kernel, campaign_id, person=visit.person, version=form.number("version"))
    return done(f"/reviews/{campaign_id}", "read")


@changing("approve", confirmed=True)
async def approve(request: Request, visit: Visit, form: Form) -> Response:
    """Yes to exactly the version that was shown."""
    campaign_id, version = request.path_params["id"], form.number("version")
    await review.approve(desk(request).app.kernel, campaign_id, person=visit.person, version=version)
    return done(f"/reviews/{campaign_id}", "approved")


@changing("approve")
async def reject(request: Request, visit: Visit, form: Form) -> Response:
    """No, and why."""
    campaign_id, version = request.path_params["id"], form.number("version")
    kernel, reason = desk(request).app.kernel, form.text("reason")
    await review.reject(kernel, campaign_id, person=visit.person, version=version, reason=reason)
    return done(f"/reviews/{campaign_id}", "rejected")


@changing("approve")
async def leave_out(request: Request, visit: Visit, form: Form) -> Response:
    """This person gets nothing of the campaign."""
    campaign_id, lead_id = request.path_params["id"], request.path_params["lead"]
    kernel, reason, version = desk(request).app.kernel, form.text("reason"), form.number("version")
    await review.leave_out(kernel, campaign_id, lead_id, person=visit.person, version=version, reason=reason)
    return done(f"/reviews/{campaign_id}", "left_out")


@changing("approve")
async def let_in(request: Request, visit: Visit, form: Form) -> Response:
    """What held this person was found out."""
    campaign_id, lead_id = request.path_params["id"], request.path_params["lead"]
    kernel, reason, version = desk(request).app.kernel, form.text("reason"), form.number("version")
    await review.let_in(kernel, campaign_id, lead_id, person=visit.person, version=version, reason=reason)
    return done(f"/reviews/{campaign_id}", "let_in")


@shown
async def show_edit(request: Request, visit: Visit) -> Response:
    """One message, to be changed."""
    version, one = await _message_of(request)
    message = _message(one, request.path_params["step"])
    return await _edit_page(request, visit, one, message, version)


@changing("approve")
async def edit(request: Request, visit: Visit, form: Form) -> Response:
    """Store and check the new words; what was typed is not lost where that fails."""
    ids, version = request.path_params, form.number("version")
    words = Message(form.text("subject"), form.text("body"))
    try:
        await review.edit(
            desk(request).app, ids["id"], ids["lead"], ids["step"], words.subject, words.body,
            person=visit.person, version=version,
        )  # fmt: skip
    except Invalid as error:
        current, one = await _message_of(request)
        # With what is stored by now beside it, a second look may save over it.
        version = current if isinstance(error, Conflict) else version
        return await _edit_page(request, visit, one, words, version, problem=error.message)
    return done(f"/reviews/{ids['id']}", "edited")


async def _message_of(request: Request) -> tuple[int, Recipient]:
    kernel, ids = desk(request).app.kernel, request.path_params
    return await recipient_of(kernel, ids["id"], ids["lead"])


def _message(one: Recipient, step: int) -> Message:
    if not 1 <= step <= len(one.messages):
        raise Invalid("there is no such message", field="step", code="not_found")
    return one.messages[step - 1]


async def _edit_page(
    request: Request, visit: Visit, one: Recipient, message: Message, version: int, problem: str = ""
) -> Response:
    step = request.path_params["step"]
    return await page(
        request,
        "edit.html",
        visit,
        status=HTTPStatus.BAD_REQUEST if problem else HTTPStatus.OK,
        campaign_id=request.path_params["id"],
        one=one,
        step=step,
        stored=_message(one, step),
        message=message,
        version=version,
        problem=problem,
    )
