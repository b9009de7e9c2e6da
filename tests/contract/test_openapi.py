"""The checker of requests and answers against a vendor's OpenAPI file."""

import pytest

from tests.contract.openapi import (
    ContractBroken,
    has_operation,
    of,
    validate_query,
    validate_request,
    validate_response,
)

SPEC = of(
    {
        "paths": {
            "/things/{id}": {
                "put": {
                    "parameters": [
                        {"name": "where", "in": "query", "required": True, "schema": {"type": "string"}}
                    ],
                    "requestBody": {
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}
                    },
                    "responses": {
                        "200": {
                            "content": {
                                "application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}
                            }
                        }
                    },
                }
            },
            "/things/search": {"put": {"responses": {"200": {}}}},
        },
        "components": {
            "schemas": {
                "Thing": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {
                        "name": {"type": "string", "nullable": True},
                        "size": {"type": "number", "minimum": 0, "exclusiveMinimum": True},
                        "any": {"type": "object", "example": 100},
                        "list": {"type": "array", "items": {"type": "array", "items": {}}},
                        "part": {"allOf": [{"$ref": "#/components/schemas/Part"}]},
                    },
                },
                "Part": {"type": "object", "properties": {"n": {"type": "number"}}},
            }
        },
    }
)


def test_a_body_that_fits_passes() -> None:
    body = {"name": None, "size": 1, "any": 5, "list": [{"a": 1}], "part": {"n": 2}}
    validate_request(SPEC, "PUT", "/things/7", body)
    validate_response(SPEC, "PUT", "/things/7", 200, body)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": 3},
        {"name": "a", "size": 0},
        {"name": "a", "part": {"n": "x"}},
        {"name": "a", "unknown": 1},
    ],
)
def test_a_body_that_does_not_fit_is_refused(body: object) -> None:
    with pytest.raises(ContractBroken):
        validate_request(SPEC, "PUT", "/things/7", body)


def test_an_answer_may_hold_more_than_is_described() -> None:
    validate_response(SPEC, "PUT", "/things/7", 200, {"name": "a", "unknown": 1})


def test_an_answer_of_an_undeclared_status_is_refused() -> None:
    with pytest.raises(ContractBroken):
        validate_response(SPEC, "PUT", "/things/7", 418, {})


def test_a_path_without_parameters_comes_before_one_with() -> None:
    with pytest.raises(ContractBroken):
        validate_request(SPEC, "PUT", "/things/search", {"name": "a"})


def test_query_parameters_are_checked_by_name() -> None:
    validate_query(SPEC, "PUT", "/things/7", {"where": "here"})
    for wrong in ({}, {"where": "here", "who": "me"}):
        with pytest.raises(ContractBroken):
            validate_query(SPEC, "PUT", "/things/7", wrong)


def test_an_operation_that_is_not_described_is_known_as_such() -> None:
    assert has_operation(SPEC, "PUT", "/things/7")
    assert not has_operation(SPEC, "GET", "/things/7")
