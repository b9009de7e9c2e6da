"""The token that every request carries: a private integration's, which never changes, or one from OAuth.

OAuth: an access token lives about a day. A refresh token works once, and each use brings the next pair.

    about to run out, or refused ─ alone (across processes) ─ somebody was faster ─▶ theirs
                                                            ─ exchange ─ new pair, durable ─▶ used
                                                                       ─ answer lost ──────▶ asked once more later
                                                                       ─ refused ──────────▶ lost: a person installs
                                                                                             the app again

What is lost is told once, by the watch, and isn't tried again before there is a new code or refresh token.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

import anyio

from shared.clock import Clock, iso, parse
from shared.errors import Fatal, Invalid, Retryable, SwarmError
from shared.http import ApiClient, ErrorRow
from shared.settings import VendorSettings
from shared.telemetry import logger
from shared.vault import Held, Vault

log = logger("ghl.token")
PATH = "/oauth/token"
SOON = timedelta(minutes=10)  # renewed so long before it runs out
PAUSE = timedelta(minutes=1)  # between tries while the old one still works
SEEDS = 5  # that are remembered as used
INVALID_GRANT = "invalid_grant"
NOT_ACTIVE = "location_not_active"
AGAIN = "install the GoHighLevel app again and put the new code into GHL_AUTHORIZATION_CODE"

ERRORS = (
    ErrorRow(
        400, "location is not active", Fatal, NOT_ACTIVE, "the GoHighLevel location is paused or closed"
    ),
    ErrorRow(
        400, "invalid grant", Invalid, INVALID_GRANT, f"the refresh token was used or withdrawn; {AGAIN}"
    ),
    ErrorRow(
        400, "invalid_grant", Invalid, INVALID_GRANT, f"the refresh token was used or withdrawn; {AGAIN}"
    ),
    ErrorRow(400, "invalid code", Invalid, INVALID_GRANT, f"the code was used or is too old; {AGAIN}"),
    ErrorRow(422, "", Fatal, "oauth", "GoHighLevel refused how its app is configured"),
    ErrorRow(400, "", Fatal, "oauth", "GoHighLevel refused GHL_CLIENT_ID, GHL_CLIENT_SECRET or redirect_uri"),
)


class Token(Protocol):
    """What a request is sent with."""

    @property
    def value(self) -> str:
        """The token now."""
        ...

    async def ready(self) -> None:
        """Before a request. Raises `Fatal` where there is none."""
        ...

    async def renew(self, refused: str) -> bool:
        """After `refused` was refused: whether there is another one to try with."""
        ...


@dataclass(frozen=True, slots=True)
class PrivateToken:
    """A private integration's token: renewed by a person, in the vendor's settings."""

    value: str = field(repr=False)

    async def ready(self) -> None:
        """Always."""

    async def renew(self, refused: str) -> bool:  # noqa: ARG002 - the protocol's
        """Never: only a person can."""
        return False


@dataclass(frozen=True, slots=True)
class OAuthApp:
    """The Marketplace app, and what was given to begin with: a code or a refresh token, each good for once."""

    client_id: str
    client_secret: str = field(repr=False)
    code: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)
    redirect_uri: str = ""

    def seeds(self) -> dict[str, dict[str, str]]:
        """Mark → what is exchanged for the first pair; the code first, which is the newer one."""
        given: dict[str, dict[str, str]] = {}
        if self.code:
            code = {"grantType": "authorization_code", "code": self.code, "redirectUri": self.redirect_uri}
            given[_mark(self.code)] = {key: value for key, value in code.items() if value}
        if self.refresh_token:
            given[_mark(self.refresh_token)] = refreshing(self.refresh_token)
        return given


def app_of(settings: VendorSettings, redirect_uri: str) -> OAuthApp | None:
    """The app as configured, or None for an account with a private integration's token."""
    given = settings.secrets
    if not given.get("client_id"):
        return None
    return OAuthApp(
        given["client_id"],
        given.get("client_secret", ""),
        given.get("authorization_code", ""),
        given.get("refresh_token", ""),
        redirect_uri,
    )


class OAuthToken:
    """An access token that is renewed by whichever process is first; kept in the vault."""

    def __init__(self, name: str, app: OAuthApp, vault: Vault, client: ApiClient, clock: Clock) -> None:
        self._name = name
        self._app = app
        self._vault = vault
        self._client = client
        self._clock = clock
        self._lock = anyio.Lock()
        self._held = Held()
        self._not_before: datetime | None = None

    @property
    def value(self) -> str:
        """The access token now."""
        return self._held.secret.get("access", "")

    async def ready(self) -> None:
        """See to it that there is one which doesn't run out during the call."""
        if self._good_for(SOON) and not self._unused():
            return
        async with self._lock:
            if not self._good_for(SOON) or self._unused():
                await self._replace("")

    async def renew(self, refused: str) -> bool:
        """Another one than `refused`. Raises as `ready` does."""
        async with self._lock:
            if self.value == refused:
                await self._replace(refused)
            return self.value != refused

    # ── one at a time ────────────────────────────────────────────────────────────────────────────────────
    async def _replace(self, refused: str) -> None:
        """Take what another process has put there, else exchange; a token that still works is kept meanwhile."""
        self._held = await self._vault.read(self._name)
        if self._usable(refused, SOON) and not self._unused():
            return
        try:
            if self._not_before is None or self._clock.now() >= self._not_before:
                async with self._vault.alone(self._name) as held:
                    self._held = held
                    if not self._usable(refused, SOON) or self._unused():
                        self._held = await self._next(held, refused)
                self._not_before = None
        except SwarmError as error:
            self._not_before = self._clock.now() + PAUSE
            self._held = await self._vault.read(self._name)
            if not self._usable(refused, timedelta()):
                raise
            log.warning("token.kept", code=error.code, kind=error.kind)
        if not self._usable(refused, timedelta()):
            raise _unavailable(self._held)

    def _usable(self, refused: str, ahead: timedelta) -> bool:
        return self.value != refused and self._good_for(ahead)

    def _good_for(self, ahead: timedelta) -> bool:
        until = self._held.secret.get("until", "")
        return bool(self.value) and bool(until) and self._clock.now() + ahead < parse(until)

    def _unused(self) -> dict[str, dict[str, str]]:
        """What a person gave that wasn't exchanged yet: the app was installed anew."""
        return {mark: grant for mark, grant in self._app.seeds().items() if mark not in _used(self._held)}

    async def _next(self, held: Held, refused: str) -> Held:
        """From what was given anew, else from the refresh token; durable before it is used."""
        for mark, grant in self._unused().items():
            used = (*_used(held), mark)[-SEEDS:]
            try:
                return await self._keep(held, await self._exchange(grant), used)
            except Invalid as error:
                log.warning("token.seed_refused", code=error.code)
            held = await self._vault.put(
                self._name, {**held.secret, "seeds": ",".join(used)}, after=held.version
            )
        return await self._refreshed(held, refused)

    async def _refreshed(self, held: Held, refused: str) -> Held:
        refresh = held.secret.get("refresh", "")
        if held.lost:
            raise _unavailable(held)
        if not refresh:
            await self._vault.lose(self._name, INVALID_GRANT)
            raise _unavailable(held)
        try:
            return await self._keep(held, await self._exchange(refreshing(refresh)), _used(held))
        except Invalid as error:
            if held.secret.get("access") == refused:
                # Nobody tries with it again, in no process.
                await self._vault.put(self._name, {**held.secret, "access": ""}, after=held.version)
            await self._vault.lose(self._name, INVALID_GRANT)
            raise Fatal(error.message, code="credentials_lost") from error

    async def _keep(self, held: Held, answer: Mapping[str, Any], used: tuple[str, ...]) -> Held:
        until = self._clock.now() + timedelta(seconds=_seconds(answer))
        secret = {
            "access": _word(answer, "accessToken", "access_token"),
            "refresh": _word(answer, "refreshToken", "refresh_token"),
            "until": iso(until),
            "seeds": ",".join(used),
        }
        if not secret["access"] or not secret["refresh"]:
            raise Retryable("GoHighLevel answered without a token", code="unreadable")
        return await self._vault.put(self._name, secret, after=held.version)

    async def _exchange(self, grant: Mapping[str, str]) -> Mapping[str, Any]:
        """One request; asked again only where it never arrived or its answer was lost."""
        who = {
            "clientId": self._app.client_id,
            "clientSecret": self._app.client_secret,
            "userType": "Location",
        }
        answer = await self._client.read("POST", PATH, json={**who, **grant})
        return answer.data if isinstance(answer.data, Mapping) else {}


def refreshing(token: str) -> dict[str, str]:
    """What a refresh token is exchanged with."""
    return {"grantType": "refresh_token", "refreshToken": token}


def _used(held: Held) -> tuple[str, ...]:
    return tuple(filter(None, held.secret.get("seeds", "").split(",")))


def _unavailable(held: Held) -> SwarmError:
    """Why no request can be made: at once, without asking the vendor."""
    if held.lost or not held.secret.get("refresh"):
        return Fatal(f"there is no valid GoHighLevel token; {AGAIN}", code="credentials_lost")
    return Retryable("the GoHighLevel token is being renewed; try again in a minute", code="token_pending")


def _mark(seed: str) -> str:
    """What is remembered of a code or token that was used."""
    return hashlib.sha256(seed.encode()).hexdigest()[:16]


def _word(answer: Mapping[str, Any], *names: str) -> str:
    return next((str(answer[name]) for name in names if answer.get(name)), "")


def _seconds(answer: Mapping[str, Any]) -> float:
    """How long it lives; a day where the answer doesn't say."""
    told = _word(answer, "expiresIn", "expires_in")
    return float(told) if told.replace(".", "", 1).isdigit() else 86_399.0
