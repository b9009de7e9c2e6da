"""One history for both databases: whatever an older version left becomes what the schema says today."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import alembic.command
import alembic.config
import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory

from shared.history import HEAD
from shared.pipeline_schema import lead
from shared.schema import T as TEXT
from shared.sqlite import sqlite
from shared.store import open_store
from tests.postgres import Server
from tools.revise import NOTHING, changes, revision

HISTORY = Path(__file__).parents[2] / "shared" / "migrations"
Make = Callable[[str], str]
# What an old installation has besides its schema: a row of a table that later gained columns.
OLD_ROW = "INSERT INTO campaign (id, run_id) VALUES ('c1', 'r1')"
OLD_RUN = "INSERT INTO run (id) VALUES ('r1')"


@pytest.fixture(params=["sqlite", "postgresql"])
def new(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """`new("a")`: the address of an empty database."""
    if request.param == "sqlite":
        yield lambda name: f"sqlite:///{tmp_path / name}.db"
        return
    server: Server = request.getfixturevalue("postgres")
    yield lambda _: server.url(server.make())


def connect(url: str) -> sa.Engine:
    if url.startswith("sqlite"):
        return sa.create_engine(url, module=sqlite, poolclass=sa.NullPool)
    return sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"), poolclass=sa.NullPool)


def migrate(url: str, revision: str) -> None:
    config = alembic.config.Config()
    config.set_main_option("script_location", str(HISTORY))
    with connect(url).begin() as connection:
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, revision)


def shape(url: str) -> dict[str, Any]:
    """Every table with its columns, keys and indexes, by name; and the guards."""
    with connect(url).connect() as connection:
        asked = sa.inspect(connection)
        tables = {
            name: {
                "columns": {
                    column["name"]: (str(column["type"]), column["nullable"], column["default"])
                    for column in asked.get_columns(name)
                },
                "key": asked.get_pk_constraint(name)["constrained_columns"],
                "links": sorted(str(sorted(link.items())) for link in asked.get_foreign_keys(name)),
                "unique": sorted(str(one["column_names"]) for one in asked.get_unique_constraints(name)),
                "indexes": sorted((one["name"], *one["column_names"]) for one in asked.get_indexes(name)),
            }
            for name in asked.get_table_names()
            if name != "alembic_version"
        }
        return {"tables": tables, "guards": guards(connection)}


def guards(connection: sa.Connection) -> list[str]:
    if connection.dialect.name == "sqlite":
        return sorted(
            connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE type='trigger'").scalars()
        )
    found = "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal"
    return sorted(connection.exec_driver_sql(found).scalars())


async def opened(url: str) -> str:
    """The version of the schema, once the product has opened the database."""
    async with open_store(url) as store:
        version: str = await store.read(
            lambda c: c.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one()
        )
        return version


async def test_what_was_left_at_the_first_revision_becomes_what_a_fresh_one_is(new: Make) -> None:
    old, fresh = new("old"), new("fresh")
    migrate(old, "0001")
    before = shape(old)
    with connect(old).begin() as connection:
        connection.exec_driver_sql(OLD_RUN)
        connection.exec_driver_sql(OLD_ROW)
    assert (await opened(old), await opened(fresh)) == (HEAD, HEAD)
    assert shape(old) == shape(fresh) != before
    with connect(old).connect() as connection:
        assert connection.exec_driver_sql("SELECT id, run_id FROM campaign").one() == ("c1", "r1")


async def test_when_somebody_was_looked_up_is_read_out_of_old_records(new: Make) -> None:
    url = new("old")
    migrate(url, "0003")
    told = {"a": '{"enriched_at": "2026-01-02T03:04:05.000006Z"}', "b": '{"enriched_at": null}', "c": "{}"}
    with connect(url).begin() as connection:
        for identifier, data in told.items():
            connection.execute(
                sa.text("INSERT INTO lead (id, data) VALUES (:i, :d)"), {"i": identifier, "d": data}
            )
    await opened(url)
    with connect(url).connect() as connection:
        found = connection.exec_driver_sql("SELECT id, looked_up_at FROM lead ORDER BY id").all()
    assert [tuple(row) for row in found] == [("a", "2026-01-02T03:04:05.000006+00:00"), ("b", ""), ("c", "")]


async def test_the_history_leads_to_what_the_schema_says(new: Make) -> None:
    declared, fresh = new("declared"), new("fresh")
    with connect(declared).begin() as connection:
        lead.metadata.create_all(connection)
    await opened(fresh)
    assert shape(declared)["tables"] == shape(fresh)["tables"], "make revision writes what the history lacks"


def test_no_revision_reads_what_the_schema_says_today() -> None:
    """What it does must not change when the schema does."""
    for path in HISTORY.glob("versions/0*.py"):
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        read = {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
        assert read <= {"alembic"}, path.name


def test_each_revision_follows_one_and_the_last_is_the_head() -> None:
    """Two changes that took the same number don't land together (CONTRIBUTING.md says what to do)."""
    config = alembic.config.Config()
    config.set_main_option("script_location", str(HISTORY))
    found = list(ScriptDirectory.from_config(config).walk_revisions())
    assert [one.revision for one in found] == [f"{n:04}" for n in range(len(found), 0, -1)]
    assert found[0].revision == HEAD
    assert {Path(one.path).name[:4] for one in found} == {one.revision for one in found}


def test_a_revision_is_written_from_what_the_history_lacks() -> None:
    assert changes(lead.metadata) == NOTHING
    more = sa.MetaData()
    for table in lead.metadata.tables.values():
        table.to_metadata(more)
    more.tables["lead"].append_column(sa.Column("mood", TEXT, nullable=False, server_default=""))
    sa.Table("mood", more, sa.Column("id", TEXT, primary_key=True), sa.Column("at", TEXT, index=True))
    text = revision("0099", "0098", "moods", changes(more))
    with sa.create_engine("sqlite://", module=sqlite).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE lead (id TEXT)")
        with Operations.context(MigrationContext.configure(connection)):
            made: dict[str, Any] = {}
            exec(compile(text, "0099_moods.py", "exec"), made)
            made["upgrade"]()
        asked = sa.inspect(connection)
        assert [column["name"] for column in asked.get_columns("lead")] == ["id", "mood"]
        assert [column["name"] for column in asked.get_columns("mood")] == ["id", "at"]
        assert [index["name"] for index in asked.get_indexes("mood")] == ["ix_mood_at"]
    assert (made["revision"], made["down_revision"], made["__doc__"]) == ("0099", "0098", "Moods.")


async def test_the_log_is_guarded_on_both(new: Make) -> None:
    url = new("fresh")
    await opened(url)
    assert len(shape(url)["guards"]) >= 2
    for statement in ("UPDATE audit_leaf SET seq=seq", "DELETE FROM audit_leaf"):
        with connect(url).connect() as connection:
            connection.exec_driver_sql("INSERT INTO audit_leaf (seq, hash) VALUES (0, 'x')")
            with pytest.raises(sa.exc.DBAPIError):
                connection.exec_driver_sql(statement)
