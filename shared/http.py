"""The only way out: requests to vendors, with time-outs, caps, pacing, retries and errors of our own kinds.

    read   retried by policy
    write  needs a permit, which only the gate mints; retried only if it certainly had no effect or may be repeated

`classify` maps an answer to an error by one table; a vendor adds rows in front of it, not a second function.
"""

import json as jsonlib
from collections.abc import Callable, Mapping
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
from shared.telemetry import correlation, logger

log = logger("http")
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
Params = Mapping[str, str | int | float | bool | list[str]]


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """An answer of `status` (0: any) whose body contains `contains` (case ignored; "": any) raises `raises`."""

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
        headers: Callable[[], Mapping[str, str]] | None = None,
    ) -> None:
        self.vendor = vendor
        self._http = http
        self._limits = limits
        self._clock = clock
        self._rules = rules
        self._headers = headers or (lambda: {})

    async def read(
        self, method: str, path: str, *, params: Params | None = None, json: Any = None, bucket: str = ""
    ) -> Answer:
        """A request that changes nothing. Raises `Invalid`, `Fatal` or, after its retries, `Retryable`."""

        async def once() -> Answer:
            await self._limits.pace(self.vendor.name, bucket)
            return await self._send(method, path, params, json, writing=False)

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
        permit.spend()
        first = permit.paced and not bucket

        async def once() -> Answer:
            nonlocal first
            if not first:
                await self._limits.pace(self.vendor.name, bucket)
                await permit.still_allowed()
            first = False
            return await self._send(method, path, params, json, writing=True)

        return await self._trying(once, bucket, writing=True, repeatable=permit.effect.repeatable)

    async def _trying(self, once: Callable[[], Any], bucket: str, *, writing: bool, repeatable: bool) -> Answer:
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

    async def _send(self, method: str, path: str, params: Params | None, json: Any, *, writing: bool) -> Answer:
        """One request, one answer, within the deadline and the size cap."""
        started = self._clock.monotonic()
        status = 0
        try:
            with anyio.fail_after(self.vendor.file.timeout.total):
                request = self._request(method, path, params, json)
                response = await self._http.send(request, stream=True)
                status = response.status_code
                body = await self._body(response)
        except NEVER_SENT as error:
            raise NotSent("the vendor can't be reached", code="unreachable") from error
        except (httpx.TransportError, TimeoutError) as error:
            raise _lost(writing) from error
        finally:
            took = round((self._clock.monotonic() - started) * 1000)
            log.info("http.call", vendor=self.vendor.name, method=method, path=_shape(path), status=status, ms=took)
        return self._read(response, body, writing=writing)

    def _request(self, method: str, path: str, params: Params | None, json: Any) -> httpx.Request:
        file = self.vendor.file
        headers = {
            "Accept": "application/json",
            "User-Agent": "alpha-swarm/0.1",
            "X-Correlation-Id": correlation(),
            file.auth.header: f"{file.auth.prefix}{self.vendor.api_key}",
            **file.headers,
            **self._headers(),
        }
        timeout = httpx.Timeout(file.timeout.read, connect=file.timeout.connect)
        url = f"{self.vendor.base_url}{path}"
        return self._http.build_request(method, url, params=params, json=json, headers=headers, timeout=timeout)

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
        except ValueError:
            data = None
        if response.is_success and data is not None:
            return Answer(response.status_code, data, response.headers)
        if response.is_success:
            raise _lost(writing)
        text = body.decode("utf-8", "replace")
        kind, code, message = classify(response.status_code, text, self._rules, writing=writing)
        wait = retry_after(response.headers.get("retry-after"), self._clock.now())
        raise kind(message, code=code, retry_after=wait, status=response.status_code, body=data)


def _lost(writing: bool) -> SwarmError:
    """No answer, or one that can't be read, to a request that was sent."""
    if writing:
        return InDoubt("the answer was lost; whether it was done is unknown", code="answer_lost")
    return Retryable("the answer was lost", code="answer_lost")


def _shape(path: str) -> str:
    """A path for the log, ids left out: `/contacts/{id}/tags`."""
    known = {"v2", "v0", "v3", "api", "public"}
    return "/".join(
        part if part in known or (part.isascii() and part.replace("-", "").replace("_", "").isalpha()) else "{id}"
        for part in path.split("/")
        if part
    )
