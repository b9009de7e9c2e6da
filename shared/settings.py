"""Configuration: the only reader of the environment and of YAML. Rules and numbers in YAML, secrets in variables.

`read_yaml` refuses unknown keys, wrong types and impossible numbers with file, line and what is expected.
A safety flag that can't be read counts as *on*.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

import yaml
from pydantic import BaseModel, Field, ValidationError

from shared.effect import Json
from shared.errors import ConfigError
from shared.safety_rules import SafetyFile
from shared.strict import Strict
from shared.vendor_rules import VendorFile

TRUE = {"true", "1", "yes", "on"}
FALSE = {"false", "0", "no", "off"}
SANDBOX_PORT = 8790

ModelT = TypeVar("ModelT", bound=BaseModel)


class PortBinding(Strict):
    """Which server provides a port, and how it is reached: `in_process`, `stdio` or an http:// address."""

    server: str
    binding: str = Field("in_process", pattern=r"^(in_process|stdio|https?://.+)$")


class SuiteFile(Strict):
    """suite.yaml: the servers by name and module, and the ports bound to them."""

    servers: dict[str, str]
    ports: dict[str, PortBinding]


@dataclass(frozen=True, slots=True)
class VendorSettings:
    """A vendor account, resolved: where it is, with which key, and whether that is the sandbox."""

    name: str
    base_url: str
    api_key: str = field(repr=False)
    sandbox: bool
    secrets: Mapping[str, str] = field(repr=False)
    file: VendorFile

    @property
    def settle_seconds(self) -> float:
        """Until a read shows every write; an emulator is as quick as safety.yaml says."""
        return 0.0 if self.sandbox else self.file.settle_seconds

    @property
    def options(self) -> Mapping[str, Json]:
        """What only this vendor's server understands; the server validates it."""
        return self.file.options


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything configured, validated. `environ` keeps only what names a variable of ours."""

    folder: Path
    home: Path
    database_url: str
    suite: SuiteFile
    safety: SafetyFile
    vendors: Mapping[str, VendorSettings]
    safe_mode: bool  # as environment and file say; the database may say on as well
    kill_switch: bool
    read_only: bool
    public_url: str = ""  # where people and vendors reach the Gatekeeper, or "" where they don't
    warnings: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)

    def vendor(self, name: str) -> VendorSettings:
        """The account of that name."""
        if name not in self.vendors:
            raise ConfigError(f"config/vendors/{name}.yaml is missing")
        return self.vendors[name]

    def vendor_options(self, name: str, model: type[ModelT]) -> ModelT:
        """The account's `options` as its server understands them; `ConfigError` names file and line."""
        path = self.folder / "vendors" / f"{name}.yaml"
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        return _checked(model, dict(self.vendor(name).options), path, node, ("options",))

    @property
    def secret_values(self) -> tuple[str, ...]:
        """Every secret in force, so that the log can leave them out."""
        each = [(vendor.api_key, *vendor.secrets.values()) for vendor in self.vendors.values()]
        each.append(tuple(self.variables.get(name, "") for name in HIDDEN))
        each.append(_passwords(self.database_url))
        return tuple(value for values in each for value in values if value)

    @property
    def public_host(self) -> str:
        """The Host header of requests to the public address."""
        return urlsplit(self.public_url).netloc.lower()

    @property
    def all_sandbox(self) -> bool:
        """Every vendor account points at loopback emulators."""
        return all(vendor.sandbox for vendor in self.vendors.values())


def read_yaml(path: Path, model: type[ModelT]) -> ModelT:
    """Parse and validate one YAML file; `ConfigError` names file, line and what is expected."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: can't be read ({type(error).__name__})") from error
    try:
        node, data = _parse(text)
        if twice := _repeated(node):
            raise ConfigError(f"{path}:{twice.start_mark.line + 1}: {twice.value} stands here a second time")
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}{where}: not valid YAML ({getattr(error, 'problem', error)})") from error
    return _checked(model, data if data is not None else {}, path, node)


def _parse(text: str) -> tuple[yaml.Node | None, Any]:
    """The document as nodes, which know their lines, and as values; in C where PyYAML has it, ten times as fast."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
    try:
        node = loader.get_single_node()
        return node, loader.construct_document(node) if node else None
    finally:
        loader.dispose()


def _checked(
    model: type[ModelT], data: object, path: Path, node: yaml.Node | None, within: tuple[str, ...] = ()
) -> ModelT:
    """`data` as the model, or what is wrong with it; `within` is where it stands in the file."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
    told = [((*within, *problem["loc"]), problem["msg"]) for problem in problems]
    lines = [f"{path}:{_line(node, at)}: {'.'.join(map(str, at)) or 'file'}: {text}" for at, text in told]
    raise ConfigError("\n".join(lines))


def _repeated(node: yaml.Node | None) -> yaml.ScalarNode | None:
    """A key that its mapping has already: YAML would silently let the last one win."""
    if isinstance(node, yaml.SequenceNode):
        return next(filter(None, map(_repeated, node.value)), None)
    if not isinstance(node, yaml.MappingNode):
        return None
    seen: set[str] = set()
    for key, value in node.value:
        if key.value in seen:
            return key if isinstance(key, yaml.ScalarNode) else None
        seen.add(str(key.value))
        if deeper := _repeated(value):
            return deeper
    return None


def _line(node: yaml.Node | None, location: tuple[int | str, ...]) -> int:
    """The line of the deepest part of `location` that is in the file, from 1."""
    line = node.start_mark.line if node else 0
    for part in location:
        found = None
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if k.value == str(part)), None)
            if found:
                line, node = found[0].start_mark.line, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            found = (node, node.value[part])
            node = node.value[part]
            line = node.start_mark.line
        if found is None:
            break
    return line + 1


def configured_folder(environ: Mapping[str, str] | None = None) -> Path:
    """Where the configuration stands: SWARM_CONFIG, else ./config."""
    return Path((os.environ if environ is None else environ).get("SWARM_CONFIG", "config"))


def configured_home(environ: Mapping[str, str] | None = None) -> Path:
    """Where the data is: SWARM_HOME, else ./.swarm. Known even where the configuration can't be read."""
    return Path((os.environ if environ is None else environ).get("SWARM_HOME", ".swarm")).absolute()


def load_settings(folder: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """All of `config/` and the environment, or a `ConfigError` that says what is wrong and where."""
    given = os.environ if environ is None else environ
    folder = folder or configured_folder(given)
    accounts = _accounts(folder)
    env = _with_files(given, accounts)
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder; set SWARM_CONFIG or run where config/ is")
    home = configured_home(env)
    warnings: list[str] = []
    safety = read_yaml(folder / "safety.yaml", SafetyFile)
    return Settings(
        folder=folder,
        home=home,
        database_url=env.get("DATABASE_URL") or f"sqlite:///{home / 'swarm.db'}",
        suite=read_yaml(folder / "suite.yaml", SuiteFile),
        safety=safety,
        vendors=_vendors(folder / "vendors", env),
        safe_mode=safety.safe_mode or _flag(env, "SAFE_MODE", default=True, warnings=warnings),
        kill_switch=safety.kill_switch or _flag(env, "KILL_SWITCH", default=False, warnings=warnings),
        read_only=_flag(env, "READ_ONLY", default=False, warnings=warnings),
        public_url=_public(env.get("PUBLIC_URL", "")),
        warnings=tuple(warnings),
        variables={key: value for key, value in env.items() if _ours(key, accounts)},
    )


def configured_database(environ: Mapping[str, str] | None = None) -> str:
    """What DATABASE_URL says; empty where it says nothing."""
    return _with_files(os.environ if environ is None else environ, frozenset()).get("DATABASE_URL", "")


def without_password(url: str) -> str:
    """A database's address as it may be shown; the driver finds a password in PGPASSFILE or ~/.pgpass."""
    if url.startswith("sqlite:"):
        return url
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    query = urlencode([(k, v) for k, v in parse_qsl(parts.query) if k != "password"], safe="/,")
    return urlunsplit(parts._replace(netloc=user.partition(":")[0] + at + host, query=query))


def _passwords(url: str) -> tuple[str, ...]:
    """The password in a database's address, as it stands there and as it is meant."""
    try:
        parts = urlsplit(url)
        given = [parts.password or "", *(v for k, v in parse_qsl(parts.query) if k == "password")]
    except ValueError:
        return ()
    return tuple(dict.fromkeys([*given, *map(unquote, given)]))


def _with_files(environ: Mapping[str, str], accounts: frozenset[str]) -> dict[str, str]:
    """`NAME_FILE` gives the value of `NAME` by a file, as container hosts do."""
    values = dict(environ)
    for key, value in environ.items():
        if not key.endswith("_FILE") or not _ours(key[:-5], accounts) or key[:-5] in environ:
            continue
        try:
            values[key[:-5]] = Path(value).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{key}: the file can't be read ({type(error).__name__})") from error
    return values


OURS = {"SAFE_MODE", "KILL_SWITCH", "READ_ONLY", "DATABASE_URL", "PUBLIC_URL"}
HIDDEN = ("SLACK_WEBHOOK_URL", "SMTP_URL", "SWARM_CLASSIFIER_KEY", "OTEL_EXPORTER_OTLP_HEADERS")


def _ours(key: str, accounts: frozenset[str]) -> bool:
    """Whether a variable is one of ours: by name, or by the name of a vendor account in front of it."""
    prefix = key.split("_", 1)[0]
    return key in OURS or prefix in {"SWARM", "SLACK", "SMTP", "OTEL"} or prefix.lower() in accounts


def _accounts(folder: Path) -> frozenset[str]:
    return frozenset(path.stem for path in (folder / "vendors").glob("*.yaml"))


def _flag(env: Mapping[str, str], name: str, *, default: bool, warnings: list[str]) -> bool:
    text = env.get(name, "").strip().lower()
    if not text:
        return default
    if text in TRUE | FALSE:
        return text in TRUE
    warnings.append(f"{name} is neither true nor false; it counts as true, the safe side")
    return True


def _vendors(folder: Path, env: Mapping[str, str]) -> dict[str, VendorSettings]:
    files = sorted(folder.glob("*.yaml")) if folder.is_dir() else []
    return {path.stem: _vendor(path, env) for path in files}


def _vendor(path: Path, env: Mapping[str, str]) -> VendorSettings:
    file = read_yaml(path, VendorFile)
    name = path.stem
    key = env.get(file.key_variable, "")
    sandboxes = env.get("SWARM_SANDBOX_URL", f"http://127.0.0.1:{SANDBOX_PORT}")
    live = bool(key or env.get(file.key_instead))
    base_url = env.get(f"{name.upper()}_BASE_URL") or (file.url if live else f"{sandboxes}/{name}")
    sandbox = _is_loopback(base_url)
    defaults = file.sandbox_secrets if sandbox else {}
    secrets = {
        secret: env.get(variable) or defaults.get(secret, "") for secret, variable in file.secrets.items()
    }
    return VendorSettings(
        name, base_url.rstrip("/"), key or ("sandbox" if sandbox else ""), sandbox, secrets, file
    )


def _public(text: str) -> str:
    """The public address, as links begin with it; `ConfigError` for one that mail programs wouldn't use."""
    try:
        parts = urlsplit(text.strip())
    except ValueError:
        parts = urlsplit("")
    alone = parts.netloc and not (parts.path.strip("/") or parts.query or parts.fragment or parts.username)
    secure = parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(text))
    if text.strip() and not (alone and secure):
        raise ConfigError("PUBLIC_URL: expected https://HOST and nothing behind it")
    return f"{parts.scheme}://{parts.netloc}" if text.strip() else ""


def _is_loopback(url: str) -> bool:
    try:
        return urlsplit(url).hostname in {"127.0.0.1", "localhost", "::1"}
    except ValueError:
        return False


Mode = Literal["safe", "live"]
