"""A request to the location: the token of the moment, the version of its kind of object, one renewal at most.

401 token expired or invalid ─ another token to be had ─▶ once more with it
401 anything else (scope, version, a missing argument) ─▶ as it is: renewing would not help
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from servers.ghl.dialect import Dialect
from servers.ghl.token import PATH as TOKEN_PATH
from servers.ghl.token import Token
from shared.errors import Fatal, InDoubt, Invalid, Retryable
from shared.gate import Permit
from shared.http import ApiClient, ErrorRow, Headers, Params

NOT_FOUND = "not_found"
DUPLICATE_CONTACT = "duplicate_contact"
DUPLICATE_OPPORTUNITY = "duplicate_opportunity"
MISSING_SCOPE = "missing_scope"
# The only refusals that another token may cure; "credentials" is a 401 in words that nobody has seen yet.
EXPIRED = frozenset({"token_expired", "credentials"})
SCOPES = "docs/integrations/GOHIGHLEVEL.md lists them"

# First match wins. One status says many things here: 401 is also a missing scope, a version and an argument.
ERRORS = (
    ErrorRow(
        400, "does not allow duplicated contacts", Invalid, DUPLICATE_CONTACT, "this contact is there already"
    ),
    ErrorRow(
        400, "opportunity_no_duplicate", Invalid, DUPLICATE_OPPORTUNITY, "this contact has an opportunity"
    ),
    ErrorRow(400, "not found", Invalid, NOT_FOUND, "GoHighLevel holds no such object"),
    ErrorRow(
        404, "cannot ", Fatal, "no_such_route", "GoHighLevel has no such endpoint in the configured version"
    ),
    ErrorRow(404, "", Invalid, NOT_FOUND, "GoHighLevel holds no such object"),
    ErrorRow(
        401, "not authorized for this scope", Fatal, MISSING_SCOPE, f"the token lacks a scope; {SCOPES}"
    ),
    ErrorRow(401, "version header", Fatal, "version_header", "GoHighLevel refused the Version header"),
    ErrorRow(401, "can't be undefined", Invalid, "missing_argument", "GoHighLevel misses an argument"),
    ErrorRow(401, "iam service", Fatal, "wrong_token_kind", "this kind of token may not use this endpoint"),
    ErrorRow(
        401,
        "token",
        Fatal,
        "token_expired",
        "the GoHighLevel token is invalid or expired: make a new one and put it into GHL_API_KEY",
    ),
    ErrorRow(
        403,
        "access to this location",
        Fatal,
        "wrong_location",
        "the token is for another location than GHL_LOCATION_ID",
    ),
    ErrorRow(422, "", Invalid, "unprocessable", "GoHighLevel refused a field's name or value"),
)


def headers(dialect: Dialect, token: Token) -> Headers:
    """Version and token by the request's path; none is sent where a token is asked for."""

    def of(path: str) -> Mapping[str, str]:
        bearer = "" if path == TOKEN_PATH else f"Bearer {token.value}"
        return {"Version": dialect.version(path), "Authorization": bearer}

    return of


@dataclass(frozen=True, slots=True)
class Access:
    """What every endpoint goes through."""

    client: ApiClient
    token: Token

    async def read(self, method: str, path: str, *, params: Params | None = None, json: Any = None) -> Any:
        """The answer to a request that changes nothing."""
        await self.token.ready()
        sent_with = self.token.value
        try:
            return (await self.client.read(method, path, params=params, json=json)).data
        except Fatal as refusal:
            await self._renewed(refusal, sent_with)
        return (await self.client.read(method, path, params=params, json=json)).data

    async def write(self, permit: Permit, method: str, path: str, *, json: Any = None) -> Any:
        """The answer to a write. A refused token means that nothing was done, so one more permit is in order."""
        await self.token.ready()
        sent_with = self.token.value
        try:
            return (await self.client.write(permit, method, path, json=json)).data
        except Fatal as refusal:
            await self._renewed(refusal, sent_with)
        return (await self.client.write(await permit.again(), method, path, json=json)).data

    async def _renewed(self, refusal: Fatal, sent_with: str) -> None:
        """Raises the refusal again unless there is another token now."""
        if refusal.code not in EXPIRED or not await self.token.renew(sent_with):
            raise refusal


# ── reading answers ──────────────────────────────────────────────────────────────────────────────────────
def unreadable() -> Retryable:
    """A read that was answered with success and without content."""
    return Retryable("GoHighLevel answered with success but without content", code="unreadable")


def lost() -> InDoubt:
    """A write that was answered with success and without what it wrote."""
    return InDoubt("GoHighLevel answered with success but not with what it wrote", code="unreadable")
