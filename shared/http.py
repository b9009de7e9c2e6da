"""The only way out: requests to vendors, with time-outs, caps, pacing, retries and errors of our own kinds.

    read   retried by policy
    write  needs a permit, which only the gate mints; retried only if it had no effect for sure, or may be repeated

`classify` maps an answer to an error by one table; a vendor adds rows in front of it, not a second function.
"""

import json as jsonlib
import math
import re
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import anyio
import httpx

from shared.admission import Admission
from shared.clock import Clock
from shared.effect import digest
from shared.errors import Fatal, InDoubt, Invalid, NotSent, Retryable, SwarmError
from shared.gate import Permit
from shared.retry import Operation, may_repeat, retry_after, strategy
from shared.settings import VendorSettings
from shared.telemetry import correlation, logger
from shared.tracing import Attributes, Tracing

log = logger("http")
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/\-]*")
DOTS = re.compile(r"(?:^|/)(?:\.|%2[eE]){1,2}(?:/|$)|//|%2[fF]|%5[cC]|%00")
ENDING = 0.5  # seconds of a write's time that are for writing down how it ended
SAFE_METHODS = {"GET", "HEAD"}
WORD = re.compile(r"[A-Za-z]+(?:[-_][A-Za-z]+)*")
Params = Mapping[str, str | int | float | bool | list[str]]
# Headers that depend on the request's path: an API version, a token that changes.
Headers = Callable[[str], Mapping[str, str]]


def _none_of_its_own(_: str, /) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """An answer of `status` (0: any) whose body contains `contains` (case ignored) raises `raises`."""

    status: int
    contains: str
    raises: type[SwarmError]
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A 2xx answer. `data` is the parsed JSON, an empty dictionary where there was no body."""

    status: int
    data: Any
    headers: Mapping[str, str]


READING: tuple[ErrorRow, ...] = (
    ErrorRow(401, "", Fatal, "credentials", "the credentials were refused; check the key and its scopes"),
    ErrorRow(402, "", Fatal, "plan", "the vendor's plan or credits don't allow this"),
    ErrorRow(403, "", Fatal, "forbidden", "the key may not do this; check its scopes"),
    ErrorRow(404, "", Invalid, "not_found", "the vendor doesn't know this object"),
    ErrorRow(409, "", Invalid, "conflict", "the vendor says this conflicts with what is there"),
    ErrorRow(408, "", Retryable, "timeout", "the vendor timed out"),
    ErrorRow(413, "", Invalid, "too_large", "the vendor says the request is too large"),
    ErrorRow(425, "", Retryable, "too_early", "the vendor asks to try later"),
    ErrorRow(429, "", Retryable, "rate_limited", "the vendor's rate limit is reached"),
    ErrorRow(400, "", Invalid, "rejected", "the vendor rejected the request"),
    ErrorRow(422, "", Invalid, "rejected", "the vendor rejected the request"),
)
# A write that was answered this way was not carried out.
WRITING: tuple[ErrorRow, ...] = (
    ErrorRow(429, "", NotSent, "rate_limited", "the vendor's rate limit is reached"),
    ErrorRow(408, "", InDoubt, "timeout", "the vendor timed out; whether it was done is unknown"),
    *READING,
)


def classify(
    status: int, text: str, rows: tuple[ErrorRow, ...], *, writing: bool
) -> tuple[type[SwarmError], str, str]:
    """Error class, code and message for a non-2xx answer."""
    lowered = text.lower()
    for row in (*rows, *(WRITING if writing else READING)):
        if row.status in {0, status} and row.contains.lower() in lowered:
            return row.raises, row.code, row.message
    if status >= 500:
        unclear = (InDoubt, "server_error", "the vendor failed; whether it was done is unknown")
        return unclear if writing else (Retryable, "server_error", "the vendor failed")
    return Invalid, "rejected", f"the vendor answered {status}"


class ApiClient:
    """HTTP to one vendor account. Made by `Kernel.client`."""

    def __init__(
        self,
        vendor: VendorSettings,
        http: httpx.AsyncClient,
        admission: Admission,
        clock: Clock,
        tracing: Tracing,
        rules: tuple[ErrorRow, ...] = (),
        headers: Headers = _none_of_its_own,
        reading: Collection[tuple[str, str]] = (),
    ) -> None:
        self.vendor = vendor
        self._http = http
        self._admission = admission
        self._clock = clock
        self._tracing = tracing
        self._rules = rules
        self._headers = headers
        self._reading = frozenset(reading)

    async def read(
        self, method: str, path: str, *, params: Params | None = None, json: Any = None, bucket: str = ""
    ) -> Answer:
        """A request that changes nothing. Raises `Invalid`, `Fatal` or, after its retries, `Retryable`.

        Other methods than GET must be declared: calling a write a read is no way past the gate.
        """
        if method not in SAFE_METHODS and (method, path) not in self._reading:
            raise RuntimeError(f"{method} {_shape(path)} is not declared as one that only reads")
        call = self._call("", method, path, params, json, bucket)

        async def once(again: bool) -> Answer:
            with call.time.waiting():
                probing = await self._admission.turn(call.operation, bucket, again=again)
            return await self._send(call, probing=probing)

        return await self._trying(call, once, repeatable=True)

    async def write(
        self,
        permit: Permit,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        json: Any = None,
        bucket: str = "",
    ) -> Answer:
        """A request that changes something: once for a permit. Raises `InDoubt` where the answer doesn't tell."""
        call = self._call(permit.effect.key, method, path, params, json, bucket)
        doubted = False
        async with permit.sending() as paced:
            ready = paced and not bucket  # a bucket of its own has to be waited for here

            async def once(again: bool) -> Answer:
                nonlocal ready, doubted
                with call.time.waiting():
                    probing = await self._admitted(call, permit.seconds_left, ready=ready, again=again)
                ready = False
                await permit.clear_to_send()
                try:
                    return await self._send(call, probing=probing, within=_for_the_call(permit.seconds_left))
                except InDoubt:
                    doubted = True
                    raise

            try:
                return await self._trying(call, once, repeatable=permit.effect.repeatable)
            except SwarmError as error:
                if doubted and not isinstance(error, InDoubt):
                    raise _lost(writing=True) from error  # an earlier try may have been taken
                raise

    async def _admitted(self, call: "_Call", left: float, *, ready: bool, again: bool) -> bool:
        """Wait for a write's turn, unless the gate has seen to it. True if it is a probe. `left`: seconds it has."""
        if ready:
            return await self._admission.counted(call.operation)
        longest = max(0.0, min(left, self.vendor.file.timeout.total) / 2)  # the rest is for the call
        return await self._admission.turn(call.operation, call.bucket, again=again, longest=longest)

    async def _trying(
        self, call: "_Call", once: Callable[[bool], Awaitable[Answer]], *, repeatable: bool
    ) -> Answer:
        """Run `once` by the retry policy. It is told whether it is a retry.

        A vendor that said why, and whose limit then leaves no time for another try, is quoted rather than the limit.
        """
        said: SwarmError | None = None

        def repeat(error: BaseException) -> bool:
            nonlocal said
            said = error if isinstance(error, SwarmError) and error.status else said
            return may_repeat(error, writing=call.writing, repeatable=repeatable)

        attempts = strategy(
            self.vendor.file.retry, left=call.time.left, repeat=repeat, sleep=self._clock.sleep
        )
        try:
            async for attempt in attempts:
                with attempt:
                    return await once(attempt.retry_state.attempt_number > 1)
        except NotSent as error:
            if said and error.code == "rate_limited":
                said.retry_after = max(said.retry_after, error.retry_after)
                raise said from error
            raise
        raise AssertionError("tenacity ends by returning or raising")

    async def _send(self, call: "_Call", *, probing: bool, within: float = math.inf) -> Answer:
        """One request, one answer, and how it ended told to all processes. `within`: seconds it may take."""
        try:
            with self._tracing.span(*call.spanned(self.vendor.name), kind="client") as tell:
                answer = await self._exchange(call, min(within, call.time.left()))
                tell({"http.response.status_code": answer.status})
        except SwarmError as error:
            await self._admission.ended(call.operation, call.bucket, error, probing=probing)
            raise
        except BaseException:
            self._admission.cut_short(call.operation)
            raise
        await self._admission.ended(call.operation, call.bucket, None, probing=probing)
        return answer

    async def _exchange(self, call: "_Call", within: float) -> Answer:
        """One request, one answer, within so many seconds and the size cap."""
        if within <= 0:
            raise NotSent("its time was over before it was sent", code="too_late")
        started, sent = self._clock.monotonic(), self._clock.now().timestamp()
        request, status = call.request, 0
        try:
            with anyio.fail_after(within):
                response = await self._http.send(request, stream=True)
                status = response.status_code
                body = await self._body(response)
        except NEVER_SENT as error:
            raise NotSent("the vendor can't be reached", code="unreachable") from error
        except (httpx.RequestError, TimeoutError) as error:
            raise _lost(writing=call.writing) from error
        finally:
            took = round((self._clock.monotonic() - started) * 1000)
            told = {"method": request.method, "path": _shape(request.url.path), "status": status, "ms": took}
            log.info("http.call", vendor=self.vendor.name, **told)
        await self._admission.heard(call.bucket, response.headers, sent)
        return self._read(response, body, writing=call.writing)

    def _call(
        self, effect: str, method: str, path: str, params: Params | None, json: Any, bucket: str
    ) -> "_Call":
        """A request ready to be sent, for an effect or as a read, and the time it has."""
        request, cause = self._request(method, path, params, json), effect or correlation()
        name = digest(cause or "look", method, str(request.url), request.content.hex())
        operation = Operation(name, look=not cause)
        time = _Time(self._clock, self.vendor.file.timeout.total)
        return _Call(request, operation, bucket, bool(effect), time)

    def _request(self, method: str, path: str, params: Params | None, json: Any) -> httpx.Request:
        """The request, built before anything is sent. Raises `Invalid` for what can't be one.

        An id from outside that ended up in the path must not turn it into another one, or another host's.
        """
        if not PATH.fullmatch(path) or DOTS.search(path):
            raise Invalid(
                "an identifier has characters that no address may have", field="id", code="bad_path"
            )
        file = self.vendor.file
        headers = {
            "Accept": "application/json",
            "User-Agent": "alpha-swarm/0.1",
            "X-Correlation-Id": correlation(),
            file.auth.header: f"{file.auth.prefix}{self.vendor.api_key}",
            **file.headers,
            **self._headers(path),
        }
        headers = {name: value for name, value in headers.items() if value}  # "" leaves one out
        timeout = httpx.Timeout(file.timeout.read, connect=file.timeout.connect)
        url = f"{self.vendor.base_url}{path}"
        sent = {"params": params, "json": json, "headers": headers, "timeout": timeout}
        try:
            return self._http.build_request(method, url, **sent)
        except (httpx.InvalidURL, ValueError, TypeError, RecursionError) as error:
            raise Invalid("the request can't be written as JSON or as an address", code="not_json") from error

    async def _body(self, response: httpx.Response) -> bytes:
        """The answer's body up to the cap; more than that is an answer we don't read."""
        parts, size = [], 0
        try:
            async for part in response.aiter_bytes():
                size += len(part)
                if size > self.vendor.file.max_answer_bytes:
                    raise httpx.ReadError("the answer is larger than allowed")
                parts.append(part)
        finally:
            await response.aclose()
        return b"".join(parts)

    def _read(self, response: httpx.Response, body: bytes, *, writing: bool) -> Answer:
        try:
            data = jsonlib.loads(body) if body.strip() else {}
        except (ValueError, RecursionError):
            data = None
        if response.is_success and data is not None:
            return Answer(response.status_code, data, response.headers)
        if response.is_success:
            raise _lost(writing=writing)
        text = body.decode("utf-8", "replace")
        kind, code, message = classify(response.status_code, text, self._rules, writing=writing)
        asked = retry_after(response.headers.get("retry-after"), self._clock.now())
        wait = min(asked, self.vendor.file.retry.longest_retry_after_seconds)
        raise kind(message, code=code, retry_after=wait, status=response.status_code, body=data)


class _Time:
    """What is left of an operation's time: waiting for its turn isn't counted, waiting between tries is."""

    def __init__(self, clock: Clock, total: float) -> None:
        self._clock = clock
        self._until = clock.monotonic() + total

    def left(self) -> float:
        """Seconds."""
        return self._until - self._clock.monotonic()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """What is done inside takes no time of the operation's."""
        began = self._clock.monotonic()
        try:
            yield
        finally:
            self._until += self._clock.monotonic() - began


@dataclass(frozen=True, slots=True)
class _Call:
    """A request, what it belongs to, and how long it may take."""

    request: httpx.Request
    operation: Operation
    bucket: str
    writing: bool
    time: _Time

    def spanned(self, vendor: str) -> tuple[str, Attributes]:
        """What a trace says of it: name and attributes of its span."""
        method, path = self.request.method, f"/{_shape(self.request.url.path)}"
        told = {"swarm.vendor": vendor, "http.request.method": method, "url.template": path}
        return f"{method} {path}", told


def _for_the_call(left: float) -> float:
    """Seconds of those left that the request itself may take."""
    return left - min(ENDING, left / 10)


def _lost(*, writing: bool) -> SwarmError:
    """No answer, or one that can't be read, to a request that was sent."""
    if writing:
        return InDoubt("the answer was lost; whether it was done is unknown", code="answer_lost")
    return Retryable("the answer was lost", code="answer_lost")


def _shape(path: str) -> str:
    """A path for the log, ids left out: `/contacts/{id}/tags`."""
    known = {"v2", "v0", "v3", "api", "public"}
    return "/".join(
        part if part in known or WORD.fullmatch(part) else "{id}" for part in path.split("/") if part
    )
