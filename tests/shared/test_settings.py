"""Configuration: wrong is said with file and line, and nothing starts half-configured."""

from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import pytest

from shared.errors import ConfigError
from shared.safety_rules import SafetyFile
from shared.settings import (
    Settings,
    configured_database,
    load_settings,
    read_yaml,
    without_password,
)
from shared.vendor_rules import Limit, VendorFile

CONFIG = Path(__file__).parents[2] / "config"
Make = Callable[..., Settings]
SAFETY = "approvals: {required_for: []}\n"
VENDOR = "url: https://v.example\nkey_variable: GHL_API_KEY\n"


def wrong(tmp_path: Path, text: str, model: type = SafetyFile) -> str:
    file = tmp_path / "some.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as told:
        read_yaml(file, model)
    return str(told.value).replace(str(tmp_path) + "/", "")


@pytest.mark.requirement("S1")
def test_with_nothing_configured_all_is_safe_and_against_sandboxes(settings_for: Make) -> None:
    settings = settings_for()
    assert (settings.safe_mode, settings.kill_switch, settings.read_only) == (True, False, False)
    assert settings.all_sandbox
    assert all(vendor.base_url.startswith("http://127.0.0.1:") for vendor in settings.vendors.values())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SAFETY + "surprise: 1\n", "some.yaml:2: surprise: Extra inputs"),
        (
            SAFETY + "concurrent_calls: many\n",
            "some.yaml:2: concurrent_calls: Input should be a valid integer",
        ),
        (SAFETY + "concurrent_calls: 0\n", "some.yaml:2: concurrent_calls: Input should be greater than"),
        (SAFETY + "\n\nsafe_mode: perhaps\n", "some.yaml:4: safe_mode: Input should be a valid boolean"),
        ("approvals:\n  required_for: []\n  expires_hours: -1\n", "some.yaml:3: approvals.expires_hours:"),
        ("approvals:\n  required_for:\n    - a\n    - [b]\n", "some.yaml:4: approvals.required_for.1:"),
        ("safe_mode: true\n", "approvals: Field required"),
        ("a: [1\nb: 2\n", "some.yaml:2: not valid YAML"),
        ("- 1\n", "some.yaml:1: file:"),
        ("", "approvals: Field required"),
        (
            SAFETY + "safe_mode: true\nkill_switch: false\nsafe_mode: false\n",
            "some.yaml:4: safe_mode stands here a second",
        ),
        (
            "approvals:\n  required_for: []\n  required_for: [x]\n",
            "some.yaml:3: required_for stands here a second",
        ),
    ],
)
def test_what_is_wrong_is_said_with_file_and_line(tmp_path: Path, text: str, said: str) -> None:
    assert said in wrong(tmp_path, text)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            "limits:\n- {name: a, calls: 1, seconds: 1}\n- {name: a, calls: 2, seconds: 1}\n",
            "some.yaml:3: limits:",
        ),
        ("limits: [{calls: 0, seconds: 1}]\n", "calls"),
        ("retry: {retries: 9}\n", "retry.retries"),
        ("breaker: {least_calls: 1}\n", "breaker.least_calls"),
        ("limits: [{calls: 3, seconds: 1, for_stops: 3}]\n", "for_stops"),
        ("timeout: {total: 0}\n", "timeout.total"),
    ],
)
def test_a_vendor_file_is_checked(tmp_path: Path, more: str, said: str) -> None:
    assert said in wrong(tmp_path, VENDOR + more, VendorFile)


def test_a_vendor_is_reached_by_https_only(tmp_path: Path) -> None:
    assert "url" in wrong(tmp_path, VENDOR.replace("https", "http"), VendorFile)


def test_a_rejected_value_is_not_repeated(tmp_path: Path) -> None:
    assert "hunter2" not in wrong(tmp_path, SAFETY + "concurrent_calls: hunter2\n")


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", None])
def test_a_file_that_cannot_be_read_is_said(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "some.yaml"
    if content is None:
        file.mkdir()
    else:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match="can't be read"):
        read_yaml(file, SafetyFile)


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such folder"):
        load_settings(tmp_path / "nowhere", {})


@pytest.mark.parametrize(
    ("text", "on"),
    [
        ("true", True),
        ("FALSE", False),
        (" no ", False),
        ("0", False),
        ("off", False),
        ("Yes", True),
        ("1", True),
    ],
)
def test_a_flag_is_read_in_any_spelling(settings_for: Make, text: str, *, on: bool) -> None:
    assert settings_for(SAFE_MODE=text).safe_mode is on
    assert settings_for(KILL_SWITCH=text).kill_switch is on


@pytest.mark.parametrize("text", ["flase", "disabled", "2", "none", "\u00a0false!"])
@pytest.mark.requirement("K4", "S2")
def test_a_flag_that_cannot_be_read_is_on_and_says_so(settings_for: Make, text: str) -> None:
    settings = settings_for(SAFE_MODE=text, KILL_SWITCH=text, READ_ONLY=text)
    assert (settings.safe_mode, settings.kill_switch, settings.read_only) == (True, True, True)
    assert len(settings.warnings) == 3


@pytest.mark.requirement("K4", "S2")
def test_the_file_makes_stricter_and_the_environment_cannot_loosen(tmp_path: Path) -> None:
    folder = copytree(CONFIG, tmp_path / "config")
    file = folder / "safety.yaml"
    file.write_text(file.read_text().replace("safe_mode: false", "safe_mode: true"))
    assert load_settings(folder, {"SAFE_MODE": "false"}).safe_mode


def test_a_secret_may_stand_in_a_file(settings_for: Make, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("pit-12345678\n")
    settings = settings_for(GHL_API_KEY_FILE=str(tmp_path / "key"))
    assert settings.vendor("ghl").api_key == "pit-12345678"
    assert "pit-12345678" in settings.secret_values
    with pytest.raises(ConfigError, match="GHL_API_KEY_FILE"):
        settings_for(GHL_API_KEY_FILE=str(tmp_path / "nowhere"))


def test_a_safety_flag_may_stand_in_a_file(settings_for: Make, tmp_path: Path) -> None:
    (tmp_path / "flag").write_text("true")
    assert settings_for(KILL_SWITCH_FILE=str(tmp_path / "flag")).kill_switch


def test_a_key_leads_to_the_vendor_and_none_to_the_sandbox(settings_for: Make) -> None:
    live = settings_for(GHL_API_KEY="pit-12345678").vendor("ghl")
    assert (live.base_url, live.sandbox) == ("https://services.leadconnectorhq.com", False)
    assert settings_for().vendor("ghl").sandbox


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1.evil.example/",
        "http://127.0.0.1:80@evil.example/",
        "http://localhost.evil.example",
        "https://evil.example/127.0.0.1",
        "http://[::1",
        "//127.0.0.1@evil.example",
    ],
)
def test_only_this_machine_counts_as_a_sandbox(settings_for: Make, url: str) -> None:
    settings = settings_for(GHL_BASE_URL=url)
    assert not settings.vendor("ghl").sandbox
    assert not settings.all_sandbox
    assert settings.vendor("ghl").secrets["webhook_secret"] == ""


@pytest.mark.parametrize("url", ["http://127.0.0.1:8790/ghl", "http://LOCALHOST:1", "http://[::1]:5"])
def test_this_machine_is_a_sandbox(settings_for: Make, url: str) -> None:
    assert settings_for(GHL_BASE_URL=url).vendor("ghl").sandbox


@pytest.mark.requirement("I7")
def test_settings_do_not_show_secrets(settings_for: Make) -> None:
    settings = settings_for(GHL_API_KEY="pit-12345678", GHL_WEBHOOK_SECRET="quiet-words")
    assert "pit-12345678" not in repr(settings)
    assert "quiet-words" not in repr(settings)


def test_an_account_without_a_file_is_said(settings_for: Make) -> None:
    with pytest.raises(ConfigError, match=r"vendors/nobody\.yaml"):
        settings_for().vendor("nobody")


def test_a_limit_has_a_name() -> None:
    assert Limit(calls=1, seconds=1).name == "burst"


@pytest.mark.requirement("I7")
def test_the_databases_password_is_a_secret_and_not_shown(settings_for: Make, tmp_path: Path) -> None:
    url = "postgresql://swarm:p%40ss-word@db.example:5433/swarm?sslmode=require&password=an0ther"
    settings = settings_for(DATABASE_URL=url)
    assert {"p%40ss-word", "p@ss-word", "an0ther"} <= set(settings.secret_values)
    assert without_password(url) == "postgresql://swarm@db.example:5433/swarm?sslmode=require"
    assert without_password("sqlite:////data/swarm.db") == "sqlite:////data/swarm.db"
    (tmp_path / "url").write_text(f"{url}\n")
    assert configured_database({"DATABASE_URL_FILE": str(tmp_path / "url")}) == url
    assert configured_database({}) == ""
