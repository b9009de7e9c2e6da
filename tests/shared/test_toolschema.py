"""Tools as their callers see them: strict arguments, portable schemas."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import pytest
from pydantic import AfterValidator, Field

from shared.effect import Json
from shared.errors import Invalid
from shared.ports import CampaignDraft, ContactRecord
from shared.tool import reads
from shared.toolschema import Contract
from tests.little import find_people, get_moment, upsert_contacts

PEOPLE = Contract("little", find_people)
KEEP = Contract("little", upsert_contacts)


def refusal(contract: Contract, arguments: dict[str, Any]) -> Invalid:
    with pytest.raises(Invalid) as caught:
        contract.validate(arguments)
    return caught.value


def refuse_loudly(value: str) -> str:
    raise ValueError(f"{value} is bad")


@reads("Loud")
async def get_loud(server: object, word: Annotated[str, AfterValidator(refuse_loudly)]) -> Mapping[str, int]:
    return {}


@reads("Odd names")
async def get_odd(server: object, schema: str, json: int = 1, copy: bool | None = None) -> Mapping[str, int]:
    return {}


@reads("Draft")
async def get_draft(server: object, draft: CampaignDraft) -> tuple[str, ...]:
    return ()


def test_only_given_arguments_are_passed_on() -> None:
    assert PEOPLE.validate({"limit": 3}) == {"limit": 3}


def test_records_arrive_as_their_dataclasses() -> None:
    given = KEEP.validate({"contacts": [{"email": "a@corp.example", "tags": ["x"]}]})
    assert given == {"contacts": [ContactRecord("a@corp.example", tags=("x",))]}


def test_an_unknown_argument_is_refused_with_the_one_probably_meant() -> None:
    error = refusal(PEOPLE, {"limt": 3})
    assert (error.field, error.message) == ("limt", "limt: no such argument; did you mean limit?")


def test_an_unknown_field_of_a_record_is_refused_by_its_path() -> None:
    assert (
        refusal(KEEP, {"contacts": [{"email": "a@b.example", "nickname": "x"}]}).field
        == "contacts.0.nickname"
    )


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"limit": "hunter2"}, "limit"),
        ({"limit": True}, "limit"),
        ({"limit": 2.5}, "limit"),
        ({"limit": 0}, "limit"),
        ({"order": "hunter2"}, "order"),
        ({"query": ["hunter2"]}, "query"),
        ({"query": "hunter2" * 10}, "query"),
    ],
)
def test_a_wrong_value_is_named_by_its_field_and_not_repeated(arguments: dict[str, Any], field: str) -> None:
    error = refusal(PEOPLE, arguments)
    assert error.field == field
    assert "hunter2" not in error.message


def test_the_words_of_a_validator_are_not_repeated() -> None:
    assert (
        refusal(Contract("little", get_loud), {"word": "hunter2"}).message == "word: not an acceptable value"
    )


def test_a_whole_number_sent_as_a_double_is_an_integer() -> None:
    assert PEOPLE.validate({"limit": 5.0}) == {"limit": 5}


def test_a_number_beyond_json_is_refused() -> None:
    assert refusal(PEOPLE, {"limit": float("nan")}).code == "not_json"


def test_a_missing_argument_is_required() -> None:
    assert refusal(KEEP, {}).message == "contacts: is required"


def test_arguments_may_have_any_name() -> None:
    assert Contract("little", get_odd).validate({"schema": "x", "json": 2}) == {"schema": "x", "json": 2}


def test_an_optional_argument_has_its_plain_type() -> None:
    assert Contract("little", get_odd).input_schema["properties"]["copy"] == {"type": "boolean"}


def test_constraints_descriptions_and_defaults_reach_the_schema() -> None:
    assert PEOPLE.input_schema["properties"]["limit"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 2000,
        "default": 2,
    }
    assert PEOPLE.input_schema["properties"]["query"]["description"] == "words in the name"


def test_records_inside_records_are_inlined_and_closed() -> None:
    draft = Contract("little", get_draft).input_schema["properties"]["draft"]
    assert draft["additionalProperties"] is False
    assert draft["properties"]["window"]["additionalProperties"] is False
    assert draft["properties"]["window"]["properties"]["weekdays"]["items"] == {
        "type": "integer",
        "minimum": 0,
        "maximum": 6,
    }


def test_an_answer_that_is_no_object_is_wrapped() -> None:
    contract = Contract("little", get_draft)
    assert contract.output_schema["properties"]["result"]["type"] == "array"
    assert contract.structured(("a",)) == {"result": ["a"]}


def test_a_field_that_may_be_absent_is_not_required() -> None:
    schema = Contract("little", get_moment).output_schema
    assert schema["required"] == ["at"]
    assert schema["properties"]["until"] == {"type": "string"}


def test_any_json_in_an_answer_is_an_open_object() -> None:
    assert Contract("little", get_moment).output_schema["properties"]["any_json"] == {"type": "object"}


async def get_union(server: object, value: int | str) -> Mapping[str, int]:
    return {}


async def get_any(server: object, value: Any) -> Mapping[str, int]:
    return {}


async def get_pair(server: object, value: tuple[int, str]) -> Mapping[str, int]:
    return {}


async def get_jsons(server: object, value: Sequence[Json]) -> Mapping[str, int]:
    return {}


async def get_nulls(server: object, value: list[int | None]) -> Mapping[str, int]:
    return {}


@pytest.mark.parametrize("function", [get_union, get_any, get_pair, get_jsons, get_nulls])
def test_an_argument_without_a_portable_schema_is_a_bug(function: Any) -> None:
    with pytest.raises(TypeError, match="portable"):
        _ = Contract("little", reads("Bad")(function)).input_schema


async def get_untyped(server, value: Literal["a"]):  # type: ignore[no-untyped-def]  # the point of the test
    return value


async def get_many(server: object, *values: str) -> Mapping[str, int]:
    return {}


@pytest.mark.parametrize("function", [get_untyped, get_many])
def test_a_signature_that_says_too_little_is_a_bug(function: Any) -> None:
    with pytest.raises(TypeError):
        _ = Contract("little", reads("Bad")(function)).input_schema


@pytest.mark.parametrize("server", ["Little", "9", "lit-tle", "l" * 60])
def test_a_name_outside_the_pattern_is_a_bug(server: str) -> None:
    with pytest.raises(TypeError):
        Contract(server, find_people)


def test_the_largest_number_of_problems_told_is_three() -> None:
    contacts = [{"nope": 1}] * 5
    assert "(and 7 more)" in refusal(KEEP, {"contacts": contacts}).message


async def get_word(server: object, word: Annotated[str, Field(pattern="^a$")] = "a") -> Mapping[str, int]:
    """Words."""
    return {}


def test_the_docstring_is_the_description() -> None:
    assert Contract("little", reads("Word")(get_word)).description == "Words."
