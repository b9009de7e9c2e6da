"""The GoHighLevel server as the suite sees it: port, schemas, lookups, configuration."""

import inspect
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from servers.ghl import SERVER, sandbox_contacts, sandbox_location, sandbox_opportunities, sandbox_search
from servers.ghl.account import Options, open_ghl
from servers.ghl.contacts import CREATED, CUSTOM
from shared.errors import ConfigError
from shared.kernel import open_kernel
from shared.ports import Crm
from shared.settings import Settings
from shared.toolschema import Contract

PORT = [name for name in vars(Crm) if not name.startswith("_")]


@pytest.mark.parametrize("name", PORT)
def test_each_method_of_the_port_is_a_tool_with_its_parameters(name: str) -> None:
    tool = next(tool for tool in SERVER.tools if tool.name == name)
    wanted = list(inspect.signature(getattr(Crm, name)).parameters.values())[1:]
    given = list(inspect.signature(tool.function).parameters.values())[1:]
    assert [(p.name, p.default) for p in given[: len(wanted)]] == [(p.name, p.default) for p in wanted]
    assert all(extra.default is not inspect.Parameter.empty for extra in given[len(wanted) :])


@pytest.mark.parametrize("tool", SERVER.tools, ids=lambda tool: tool.name)
def test_each_tool_has_portable_schemas_and_a_description(tool: object) -> None:
    contract = Contract("ghl", tool)  # type: ignore[arg-type]  # parametrize loses the type
    assert contract.input_schema["type"] == contract.output_schema["type"] == "object"
    assert len(contract.description) > 20


def test_each_writing_tool_takes_an_idempotency_key() -> None:
    for tool in SERVER.tools:
        taken = inspect.signature(tool.function).parameters
        assert ("idempotency_key" in taken) == tool.writes, tool.name


def test_each_action_has_a_lookup() -> None:
    batches = {"upsert_contacts", "tag_contacts", "ensure_setup"}
    actions = {tool.name for tool in SERVER.tools if tool.writes} - batches
    made = {"create_custom_field", "create_tag", "create_pipeline"}
    # Nothing can be asked about a workflow: its doubt is a person's.
    assert {action for _, action in SERVER.lookups} == actions - {"trigger_workflow"} | made


@pytest.mark.parametrize("wrong", [{"pipelin": "x"}, {"fields": {"titel": "title"}}, {"stages": []}])
def test_a_wrong_option_is_refused_by_name(
    settings_for: Callable[..., Settings], wrong: dict[str, Any]
) -> None:
    settings = settings_for()
    vendor = settings.vendor("ghl")
    changed = replace(vendor, file=vendor.file.model_copy(update={"options": wrong}))
    with pytest.raises(ConfigError, match=f"options.{next(iter(wrong))}"):
        replace(settings, vendors={"ghl": changed}).vendor_options("ghl", Options)


async def test_a_key_without_a_location_is_refused(settings_for: Callable[..., Settings]) -> None:
    async with open_kernel(settings_for(GHL_API_KEY="pit-test")) as kernel:
        with pytest.raises(ConfigError):
            async with open_ghl(kernel):
                pass


# ── its document ─────────────────────────────────────────────────────────────────────────────────────────
ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "integrations" / "GOHIGHLEVEL.md").read_text(encoding="utf-8")


def test_every_test_that_the_document_names_is_there() -> None:
    named = set(re.findall(r"`(test_\w+)`", DOCUMENT))
    written = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    assert len(named) > 20
    assert {name for name in named if f"def {name}(" not in written} == set()


def test_every_file_of_ours_that_the_document_names_is_there() -> None:
    named = re.findall(r"`((?:servers|shared|tests|bench|config)/[\w/.*-]+)`", DOCUMENT)
    assert [name for name in named if not list(ROOT.glob(name))] == []


def test_the_document_lists_exactly_the_scopes_that_the_endpoints_need() -> None:
    endpoints = (
        *sandbox_contacts.ENDPOINTS,
        *sandbox_search.ENDPOINTS,
        *sandbox_opportunities.ENDPOINTS,
        *sandbox_location.ENDPOINTS,
    )
    table = DOCUMENT.split("| for | scope |")[1].split("\n\n")[0]
    assert set(re.findall(r"`([\w./]+)`", table)) == {scope for *_, scope in endpoints}


def test_the_document_counts_its_tools_and_tests_right() -> None:
    hidden = {name for names in SERVER.toolsets.values() for name in names}
    assert f"{len(SERVER.tools) - len(hidden)} listed, {len(SERVER.tools)} with" in DOCUMENT
    files = [*(ROOT / "tests/servers").glob("test_ghl*.py"), ROOT / "tests/live/test_ghl.py"]
    assert f"| {len(files)} (`tests/servers/test_ghl*.py`" in DOCUMENT


def test_the_document_maps_every_field_that_is_written() -> None:
    fields = DOCUMENT.split("## Field map")[1].split("\n\n")[0:2]
    for name in ("email", "tags", *CREATED, *CUSTOM):
        assert name in "".join(fields), name
