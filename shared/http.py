"""The only way out: requests to vendors, with time-outs, caps, pacing, retries and errors of our own kinds.

    read   retried by policy
    write  needs a permit, which only the gate mints; retried only if it had no effect for sure, or may be repeated

`classify` maps an answer to an error by one table; a vendor adds rows in front of it, not a second function.
"""

import json as jsonlib
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import anyio
import httpx

from shared.clock import Clock
from shared.errors import Fatal, InDoubt, Invalid, NotSent, Retryable, SwarmError
from shared.gate import Permit
from shared.limits import Limits
from shared.retry import may_repeat, retry_after, strategy
from shared.settings import VendorSettings
from shared.store import Unavailable
from shared.telemetry import correlation, logger

log = logger("http")
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/\-]*")
DOTS = re.compile(r"(?:^|/)(?:\.|%2[eE]){1,2}(?:/|$)|//|%2[fF]|%5[cC]|%00")
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
        limits: Limits,
        clock: Clock,
        rules: tuple[ErrorRow, ...] = (),
        headers: Headers = _none_of_its_own,
        reading: Collection[tuple[str, str]] = (),
    ) -> None:
        self.vendor = vendor
        self._http = http
        self._limits = limits
        self._clock = clock
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
        request = self._request(method, path, params, json)

        async def once() -> Answer:
            await self._limits.pace(self.vendor.name, bucket)
            return await self._send(request, bucket, writing=False)

        return await self._trying(once, bucket, writing=False, repeatable=True)

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
        request = self._request(method, path, params, json)
        doubted = False
        async with permit.sending() as paced:
            ready = paced and not bucket  # a bucket of its own has to be waited for here

            async def once() -> Answer:
                nonlocal ready, doubted
                if not ready:
                    await self._limits.pace(self.vendor.name, bucket, longest=self._longest_wait)
                ready = False
                await permit.clear_to_send()
                try:
                    return await self._send(request, bucket, writing=True)
                except InDoubt:
                    doubted = True
                    raise

            try:
                return await self._trying(once, bucket, writing=True, repeatable=permit.effect.repeatable)
            except SwarmError as error:
                if doubted and not isinstance(error, InDoubt):
                    raise _lost(writing=True) from error  # an earlier try may have been taken
                raise

    @property
    def _longest_wait(self) -> float:
        """Seconds a write may wait for its turn: the rest of its deadline is for the call."""
        return self.vendor.file.timeout.total / 2

    async def _trying(
        self, once: Callable[[], Any], bucket: str, *, writing: bool, repeatable: bool
    ) -> Answer:
        """Run `once` by the retry policy; a 429 holds back every process."""

        def repeat(error: BaseException) -> bool:
            return may_repeat(error, writing=writing, repeatable=repeatable)

        attempts = strategy(
            retries=self.vendor.file.retries,
            deadline=self.vendor.file.timeout.total,
            repeat=repeat,
            sleep=self._clock.sleep,
        )
        async for attempt in attempts:
            with attempt:
                try:
                    return await once()  # type: ignore[no-any-return]  # `once` is one of ours above
                except SwarmError as error:
                    if error.status == 429:
                        await self._limits.block(self.vendor.name, error.retry_after or 1.0, bucket)
                    raise
        raise AssertionError("tenacity ends by returning or raising")

    async def _send(self, request: httpx.Request, bucket: str, *, writing: bool) -> Answer:
        """One request, one answer, within the deadline and the size cap."""
        started, sent = self._clock.monotonic(), self._clock.now().timestamp()
        status = 0
        try:
            with anyio.fail_after(self.vendor.file.timeout.total):
                response = await self._http.send(request, stream=True)
                status = response.status_code
                body = await self._body(response)
        except NEVER_SENT as error:
            raise NotSent("the vendor can't be reached", code="unreachable") from error
        except (httpx.RequestError, TimeoutError) as error:
            raise _lost(writing=writing) from error
        finally:
            took = round((self._clock.monotonic() - started) * 1000)
            told = {"method": request.method, "path": _shape(request.url.path), "status": status, "ms": took}
            log.info("http.call", vendor=self.vendor.name, **told)
        await self._heard(bucket, response.headers, sent)
        return self._read(response, body, writing=writing)

    async def _heard(self, bucket: str, headers: Mapping[str, str], sent: float) -> None:
        """What the answer says of the limits. That it can't be written down takes nothing from the answer."""
        try:
            await self._limits.heard(self.vendor.name, bucket, headers, sent)
        except Unavailable:
            log.warning("http.limits_not_noted", vendor=self.vendor.name)

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
        wait = retry_after(response.headers.get("retry-after"), self._clock.now())
        raise kind(message, code=code, retry_after=wait, status=response.status_code, body=data)


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
