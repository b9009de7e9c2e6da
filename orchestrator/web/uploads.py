"""A form with a file: by somebody with the right, from a page of ours, no larger than allowed.

Who asks is known before the first byte of the body is read; the form's token comes with it, and is looked at before
anything is done.
"""

import hmac
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import BinaryIO

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import Response

from orchestrator.accounts import Visit, need
from orchestrator.roles import Right
from orchestrator.web.desk import desk
from orchestrator.web.security import FORM_BYTES, from_our_page
from orchestrator.web.session import Endpoint, Form, to_login, visitor

MOST_FIELDS = 10
LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Upload:
    """The fields of a form, and its file. The name is the sender's: it is shown, and opens nothing."""

    form: Form
    file: BinaryIO
    name: str


Receiving = Callable[[Request, Visit, Upload], Awaitable[Response]]


def uploading(right: Right, most: int) -> Callable[[Receiving], Endpoint]:
    """A change by somebody with `right`, with a file of at most `most` bytes."""

    def wrap(change: Receiving) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            if not from_our_page(request.headers, desk(request).hosts):
                raise HTTPException(HTTPStatus.FORBIDDEN)
            visit = await visitor(request)
            if visit is None or visit.idle:
                return to_login(request)
            need(visit.person, right)
            fields = await _fields(request, most)
            try:
                return await change(request, visit, _checked(fields, visit))
            finally:
                await fields.close()

        return endpoint

    return wrap


async def _fields(request: Request, most: int) -> FormData:
    """The form's parts: 413 beyond the cap, 415 for what no form with a file is, 400 for one that is broken."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    announced = request.headers.get("content-length", "0")
    if not announced.isdecimal() or int(announced) > most + FORM_BYTES:
        raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    limits = {"max_files": 1, "max_fields": MOST_FIELDS, "max_part_size": FORM_BYTES}
    try:
        return await MultiPartParser(request.headers, _capped(request, most + FORM_BYTES), **limits).parse()
    except MultiPartException as error:
        raise HTTPException(HTTPStatus.BAD_REQUEST) from error


async def _capped(request: Request, most: int) -> AsyncGenerator[bytes, None]:
    seen = 0
    async for part in request.stream():
        seen += len(part)
        if seen > most:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        yield part


def _checked(fields: FormData, visit: Visit) -> Upload:
    """The form with its file; 403 without the session's token, 400 without a file."""
    texts = {name: [text] for name, text in fields.multi_items() if isinstance(text, str)}
    if not hmac.compare_digest(texts.get("csrf", [""])[0].encode(), visit.csrf.encode()):
        raise HTTPException(HTTPStatus.FORBIDDEN)
    file = fields.get("file")
    if not isinstance(file, UploadFile):
        raise HTTPException(HTTPStatus.BAD_REQUEST)
    return Upload(Form(texts), file.file, (file.filename or "upload")[:LONGEST_NAME])
