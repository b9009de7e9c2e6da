"""The opened GoHighLevel account: its options, and what is read of the location once and then known."""

from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

import anyio
from pydantic import Field

from servers.ghl.api import ERRORS, READING_POSTS, GhlApi, Raw
from servers.ghl.contacts import CUSTOM, CustomField, CustomName, Fields
from shared.clock import Clock
from shared.errors import ConfigError, Fatal, Invalid
from shared.gate import Gate
from shared.kernel import Kernel
from shared.ports import Pipeline, PipelineStage
from shared.settings import Strict, VendorSettings

REMEMBERED = 2_000


class Options(Strict):
    """`options` of config/vendors/ghl.yaml."""

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
    webhook_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DuplicatePolicy:
    """What the vendor refuses by itself. Where that can't be read, we count on neither and look first."""

    forbids_contacts: bool = False
    forbids_opportunities: bool = False


class Location:
    """Settings, custom fields and pipeline of the location: read at first need, kept until `forget`.

    Opportunities made a moment ago are remembered as well: the vendor's search shows them only seconds later.
    """

    def __init__(self, api: GhlApi, options: Options) -> None:
        self._api = api
        self._options = options
        self._lock = anyio.Lock()
        self._policy: DuplicatePolicy | None = None
        self._fields: Fields | None = None
        self._pipeline: Pipeline | None = None
        self._opportunities: OrderedDict[str, str] = OrderedDict()

    def forget(self) -> None:
        """Read everything anew at the next need."""
        self._policy = self._fields = self._pipeline = None

    async def policy(self) -> DuplicatePolicy:
        """Whether the location refuses duplicates; without the scope to read it, we count on nothing."""
        async with self._lock:
            if self._policy is None:
                try:
                    self._policy = duplicate_policy(await self._api.location())
                except Fatal:
                    self._policy = DuplicatePolicy()
            return self._policy

    async def fields(self) -> Fields:
        """Our custom fields, by our name; those the location lacks are absent."""
        async with self._lock:
            if self._fields is None:
                keys: dict[str, str] = {name: self._options.fields.get(name, name) for name in CUSTOM}
                self._fields = resolve_fields(await self._api.custom_fields(), keys)
            return self._fields

    async def pipeline(self) -> Pipeline:
        """Our pipeline; `Fatal` when the location has none of that name."""
        async with self._lock:
            if self._pipeline is None:
                self._pipeline = our_pipeline(await self._api.pipelines(), self._options.pipeline)
            return self._pipeline

    def remember_opportunity(self, contact_id: str, opportunity_id: str) -> None:
        """Keep the id until search shows it; the oldest make room."""
        self._opportunities[contact_id] = opportunity_id
        if len(self._opportunities) > REMEMBERED:
            self._opportunities.popitem(last=False)

    def remembered_opportunity(self, contact_id: str) -> str:
        """The id of an opportunity made here, or empty."""
        return self._opportunities.get(contact_id, "")


@dataclass(frozen=True, slots=True)
class Ghl:
    """What every tool of this server gets first."""

    api: GhlApi
    gate: Gate
    clock: Clock
    options: Options
    location: Location
    settings: VendorSettings
    at_once: int  # writes side by side


@asynccontextmanager
async def open_ghl(kernel: Kernel) -> AsyncIterator[Ghl]:
    """The account as configured; nothing is called yet."""
    settings = kernel.settings.vendor("ghl")
    location_id = settings.secrets.get("location_id", "")
    if not location_id:
        raise ConfigError("GHL_LOCATION_ID is needed together with GHL_API_KEY")
    options = kernel.settings.vendor_options("ghl", Options)
    api = GhlApi(kernel.client("ghl", ERRORS, reading=READING_POSTS), location_id)
    at_once = kernel.settings.safety.concurrent_calls
    yield Ghl(api, kernel.gate, kernel.clock, options, Location(api, options), settings, at_once)


def duplicate_policy(location: Raw) -> DuplicatePolicy:
    """Only an explicit false forbids: an absent setting promises nothing."""
    settings = location.get("settings") or {}
    return DuplicatePolicy(
        forbids_contacts=settings.get("allowDuplicateContact") is False,
        forbids_opportunities=settings.get("allowDuplicateOpportunity") is False,
    )


def resolve_fields(listed: tuple[Raw, ...], keys: Mapping[str, str]) -> Fields:
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
    message = f"the location has no pipeline called {name!r}; ghl_check_setup says what to make"
    raise Fatal(message, code="no_pipeline")


def stage_id(pipeline: Pipeline, name: str) -> str:
    """The stage of that name, or `Invalid` with the names there are."""
    for stage in pipeline.stages:
        if stage.name.strip().casefold() == name.strip().casefold():
            return stage.id
    raise Invalid("the pipeline has no stage of that name; ghl_list_pipelines lists them", field="stage")
