"""The opened GoHighLevel account: its options, its token, and what is read of the location once and then known."""

from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

import anyio
from pydantic import Field

from servers.ghl import token
from servers.ghl.access import ERRORS, Access, headers
from servers.ghl.api import READING_POSTS, GhlApi
from servers.ghl.contacts import CUSTOM, CustomField, CustomName, Terms
from servers.ghl.dialect import Dialect, Raw, Versions
from servers.ghl.token import OAuthToken, PrivateToken, Token
from shared.clock import Clock
from shared.errors import ConfigError, Fatal, Invalid
from shared.gate import Gate
from shared.kernel import Kernel
from shared.ports import Pipeline, PipelineStage
from shared.settings import VendorSettings
from shared.strict import Strict
from shared.suppression import Suppression

REMEMBERED = 5_000


class Options(Strict):
    """`options` of config/vendors/ghl.yaml."""

    versions: Versions = Versions()
    redirect_uri: str = ""
    pipeline: Annotated[str, Field(min_length=1)] = "Alpha Swarm Pipeline"
    stages: Annotated[tuple[str, ...], Field(min_length=1)] = (
        "New",
        "Contacted",
        "Replied",
        "Meeting Booked",
        "Qualified",
        "Closed",
    )
    fields: Mapping[CustomName, str] = {}
    tags_per_request: Annotated[int, Field(ge=1, le=500)] = 100
    webhook_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DuplicatePolicy:
    """What the vendor refuses by itself. Where that can't be read, we count on neither and look first."""

    forbids_contacts: bool = False
    forbids_opportunities: bool = False


class Remembered:
    """Ids by ids, the newest few thousand: our own index of what the vendor's search shows only later."""

    def __init__(self) -> None:
        self._ids: OrderedDict[str, str] = OrderedDict()

    def put(self, key: str, value: str) -> None:
        """Keep it; the oldest make room."""
        self._ids[key] = value
        if len(self._ids) > REMEMBERED:
            self._ids.popitem(last=False)

    def get(self, key: str) -> str:
        """What was put, or empty."""
        return self._ids.get(key, "")


class Location:
    """Settings, custom fields and pipeline of the location: read at first need, kept until `forget`."""

    def __init__(self, api: GhlApi, options: Options) -> None:
        self._api = api
        self._options = options
        self._lock = anyio.Lock()
        self._policy: DuplicatePolicy | None = None
        self._terms: Terms | None = None
        self._pipeline: Pipeline | None = None
        self.contacts = (
            Remembered()
        )  # address → its contact, as seen or made here; read by id before it is believed
        self.opportunities = Remembered()  # contact → its opportunity, made here
        self.created = Remembered()  # contact that was made here → "new": it has no opportunity but ours

    def forget(self) -> None:
        """Read everything anew at the next need."""
        self._policy = self._terms = self._pipeline = None

    async def policy(self) -> DuplicatePolicy:
        """Whether the location refuses duplicates; without the scope to read it, we count on nothing."""
        async with self._lock:
            if self._policy is None:
                try:
                    self._policy = duplicate_policy(await self._api.location())
                except Fatal:
                    self._policy = DuplicatePolicy()
            return self._policy

    async def terms(self) -> Terms:
        """Our custom fields, by our name; those the location lacks are absent."""
        async with self._lock:
            if self._terms is None:
                found = resolve_fields(await self._api.custom_fields(), field_keys(self._options))
                self._terms = Terms(self._api.dialect, found)
            return self._terms

    async def pipeline(self) -> Pipeline:
        """Our pipeline; `Fatal` when the location has none of that name."""
        async with self._lock:
            if self._pipeline is None:
                self._pipeline = our_pipeline(await self._api.pipelines(), self._options.pipeline)
            return self._pipeline


@dataclass(frozen=True, slots=True)
class Ghl:
    """What every tool of this server gets first."""

    api: GhlApi
    gate: Gate
    clock: Clock
    options: Options
    location: Location
    settings: VendorSettings
    suppression: Suppression
    at_once: int  # writes side by side


@asynccontextmanager
async def open_ghl(kernel: Kernel) -> AsyncIterator[Ghl]:
    """The account as configured; nothing is called yet."""
    settings = kernel.settings.vendor("ghl")
    location_id = settings.secrets.get("location_id", "")
    if not location_id:
        raise ConfigError("GHL_LOCATION_ID is needed together with GHL_API_KEY or GHL_CLIENT_ID")
    options = kernel.settings.vendor_options("ghl", Options)
    dialect = Dialect(options.versions)
    carried = token_of(kernel, settings, options, dialect)
    client = kernel.client("ghl", ERRORS, headers=headers(dialect, carried), reading=READING_POSTS)
    api = GhlApi(Access(client, carried), dialect, location_id)
    yield Ghl(
        api=api,
        gate=kernel.gate,
        clock=kernel.clock,
        options=options,
        location=Location(api, options),
        settings=settings,
        suppression=kernel.suppression,
        at_once=kernel.settings.safety.concurrent_calls,
    )


def token_of(kernel: Kernel, settings: VendorSettings, options: Options, dialect: Dialect) -> Token:
    """A private integration's token, or the Marketplace app's; two of them would leave open which one counts."""
    app = token.app_of(settings, options.redirect_uri)
    if app is None:
        return PrivateToken(settings.api_key)
    if settings.api_key not in {"", "sandbox"}:
        raise ConfigError("set GHL_API_KEY or GHL_CLIENT_ID, not both")
    asking = headers(dialect, PrivateToken(""))
    client = kernel.client("ghl", token.ERRORS, headers=asking, reading=READING_POSTS)
    return OAuthToken("ghl", app, kernel.vault, client, kernel.clock)


def duplicate_policy(location: Raw) -> DuplicatePolicy:
    """Only an explicit false forbids: an absent setting promises nothing."""
    settings = location.get("settings") or {}
    return DuplicatePolicy(
        forbids_contacts=settings.get("allowDuplicateContact") is False,
        forbids_opportunities=settings.get("allowDuplicateOpportunity") is False,
    )


def field_keys(options: Options) -> dict[str, str]:
    """Our name → the key of the location's field, as configured."""
    return {name: options.fields.get(name, name) for name in CUSTOM}


def resolve_fields(listed: tuple[Raw, ...], keys: Mapping[str, str]) -> dict[str, CustomField]:
    """Our name → the location's field, by key (with or without "contact." in front), else by display name."""
    by_key = {str(field.get("fieldKey") or "").removeprefix("contact.").casefold(): field for field in listed}
    by_name = {str(field.get("name") or "").strip().casefold().replace(" ", "_"): field for field in listed}
    found = {ours: by_key.get(key.casefold()) or by_name.get(key.casefold()) for ours, key in keys.items()}
    return {
        ours: CustomField(str(field["id"]), str(field.get("dataType") or "TEXT"))
        for ours, field in found.items()
        if field and field.get("id")
    }


def read_pipeline(raw: Raw) -> Pipeline:
    """A pipeline with its stages in the vendor's order."""
    stages = [stage for stage in raw.get("stages") or () if isinstance(stage, Mapping)]
    return Pipeline(
        str(raw.get("id") or ""),
        str(raw.get("name") or ""),
        tuple(PipelineStage(str(stage.get("id") or ""), str(stage.get("name") or "")) for stage in stages),
    )


def our_pipeline(listed: tuple[Raw, ...], name: str) -> Pipeline:
    """The pipeline of that name: the vendor keeps names unique whatever their case."""
    for raw in listed:
        if str(raw.get("name") or "").strip().casefold() == name.casefold():
            return read_pipeline(raw)
    message = f"the location has no pipeline called {name!r}; ghl_ensure_setup makes it"
    raise Fatal(message, code="no_pipeline")


def stage_id(pipeline: Pipeline, name: str) -> str:
    """The stage of that name, or `Invalid` with the names there are."""
    for stage in pipeline.stages:
        if stage.name.strip().casefold() == name.strip().casefold():
            return stage.id
    raise Invalid("the pipeline has no stage of that name; ghl_list_pipelines lists them", field="stage")
