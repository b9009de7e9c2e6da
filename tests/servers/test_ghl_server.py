"""The GoHighLevel server as the suite sees it: port, schemas, lookups, configuration."""

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from servers.ghl import SERVER
from servers.ghl.account import Options, open_ghl
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
