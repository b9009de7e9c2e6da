"""Logs: one correlation id from end to end, and nothing that is secret or personal."""

import json
import logging
from collections.abc import Callable, Iterator

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from shared.telemetry import configure, correlated, correlation, logger, mask, redact

ADDRESSES = [
    "jane.doe@corp.example",
    "JANE@CORP.EXAMPLE",
    "jane+news@corp.example",
    "o'brien@corp.example",
    "j@b.io",
    "müller@bücher.example",
    "jane%40corp.example",
    "jane-doe@sub.corp.example",
    "jane_doe@corp.example",
    "1234@corp.example",
]
SECRETS = [
    "Bearer abcdef1234567890",
    "bearer eyJhbGciOiJIUzI1NiJ9",
    "Basic amFuZTpzZWNyZXQ=",
    "pit-0123456789abcdef",
    "sk-live-0123456789abcdef",
    "sk_live_0123456789abcdef",
    "xoxb-123456789012-abcdef",
    "ghp_0123456789abcdefghij",
    "AKIAIOSFODNN7EXAMPLE",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.sig-nature",
    "api_key=0123456789",
    "apikey: 0123456789",
    "X-Api-Key: 0123456789",
    '{"api_key": "01234 56789"}',
    "{'token': '0123456789'}",
    "token=0123456789&x=1",
    "https://vendor.example/?access_token=0123456789",
    "https://vendor.example/?api-key=0123456789",
    "password=hunter22",
    "PASSWORD: hunter22",
    "passwd=hunter22",
    "client_secret=0123456789",
    "webhook_secret: 0123456789",
    "https://user:hunter22@vendor.example/x",
    "postgresql://swarm:hunter22@db.example/swarm",
    "smtp://mailer:hunter22@smtp.example:587",
    "https://hooks.slack.com/services/T000/B000/XXXXXXXX",
    "-----BEGIN PRIVATE KEY-----\nMIIEvQ\n-----END PRIVATE KEY-----",
    "whsec_0123456789abcdef",
    "apify_api_0123456789abcdef",
]
TELLTALES = (
    "0123456789",
    "hunter22",
    "amFuZTpz",
    "abcdef1234567890",
    "XXXXXXXX",
    "MIIEvQ",
    "AKIAIOS",
    "eyJ",
    "56789",
    "123456789012",
)


@pytest.fixture
def begin() -> Iterator[Callable[[], None]]:
    """Called in the test itself, where the stream that is captured is known; undone afterwards."""
    before = structlog.get_config()
    handlers, level = logging.root.handlers[:], logging.root.level
    yield lambda: configure("INFO", b"key", known=["opaque-vendor-key-42"])
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    structlog.configure(**before)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


@pytest.mark.parametrize("canary", SECRETS)
def test_no_secret_stays_in_a_text(canary: str) -> None:
    told = redact(f"before {canary} after")
    assert "[secret]" in told
    assert not any(telltale in told for telltale in TELLTALES)
    assert told.startswith("before ")


@pytest.mark.parametrize("canary", ADDRESSES)
@pytest.mark.requirement("I7")
def test_no_address_stays_in_a_text(canary: str) -> None:
    told = redact(f"to {canary}, thanks")
    local = canary.replace("%40", "@").split("@")[0]
    assert local == local[:1] or local not in told
    assert "***@" in told


@pytest.mark.parametrize("canary", SECRETS + ADDRESSES)
@pytest.mark.requirement("I7")
def test_no_canary_reaches_a_line(
    canary: str, capsys: pytest.CaptureFixture[str], begin: Callable[[], None]
) -> None:
    begin()
    log = logger("test")
    log.info(
        "x", plain=canary, nested={"deep": [canary, {"deeper": canary}], canary: 1}, thing=Exception(canary)
    )
    try:
        int(canary)
    except ValueError:
        log.exception("failed")
    logging.getLogger("somewhere").warning("told %s", canary)
    told = json.dumps(lines(capsys), ensure_ascii=False)
    assert not any(telltale in told for telltale in TELLTALES)
    assert canary not in told


def test_a_field_named_like_a_secret_is_not_shown(
    capsys: pytest.CaptureFixture[str], begin: Callable[[], None]
) -> None:
    begin()
    logger("test").info(
        "x", api_key="zzz", headers={"Authorization": "zzz", "Cookie": "zzz"}, webhook_secret="zzz"
    )
    assert "zzz" not in json.dumps(lines(capsys))


def test_a_known_secret_is_found_anywhere(
    capsys: pytest.CaptureFixture[str], begin: Callable[[], None]
) -> None:
    begin()
    logger("test").info("x", url="https://v.example/opaque-vendor-key-42/run", b=b"opaque-vendor-key-42")
    assert "opaque-vendor" not in json.dumps(lines(capsys))


@pytest.mark.requirement("I7")
def test_a_text_cannot_forge_a_line(capsys: pytest.CaptureFixture[str], begin: Callable[[], None]) -> None:
    begin()
    logger("test").info("x", text='a\n{"event": "forged"}\r\x1b[31m')
    assert [line["event"] for line in lines(capsys)] == ["x"]


def test_a_line_carries_component_and_correlation(
    capsys: pytest.CaptureFixture[str], begin: Callable[[], None]
) -> None:
    begin()
    with correlated("abc"):
        logger("gate").info("x")
    line = lines(capsys)[0]
    assert (line["component"], line["correlation_id"], line["level"]) == ("gate", "abc", "info")


def test_libraries_that_print_addresses_are_silent(
    capsys: pytest.CaptureFixture[str], begin: Callable[[], None]
) -> None:
    begin()
    logging.getLogger("httpx").warning("GET https://vendor.example/?key=1")
    assert lines(capsys) == []


def test_one_id_holds_inside_and_none_outside() -> None:
    with correlated() as outer:
        assert len(outer) == 16
        with correlated() as inner:
            assert inner == outer
        with correlated("mine"):
            assert correlation() == "mine"
        assert correlation() == outer
    assert correlation() == ""


def test_lines_about_one_person_still_meet() -> None:
    assert mask("jane@corp.example", b"k") == mask("JANE@corp.example".lower(), b"k")
    assert mask("jane@corp.example", b"k") != mask("jane@corp.example", b"other")


@given(st.text(max_size=200))
def test_redacting_never_fails_and_leaves_one_line(text: str) -> None:
    assert "\n" not in redact(text)
