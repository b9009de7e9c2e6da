"""The schema's history: brings a database to the newest version, once, whoever starts at the same time."""

from pathlib import Path

import sqlalchemy as sa

from shared.database import Database, discard
from shared.errors import ConfigError

HEAD = "0005"


def migrate(database: Database) -> None:
    """Bring the schema to the newest version; a quick look first, since loading the history costs time."""
    connection = database.connect()
    try:
        with database.turn:
            if _version(connection) == HEAD:
                return
            database.begin_migrating(connection)
            _upgrade(database, connection)
            database.commit(connection)
    finally:
        discard(connection)


def _upgrade(database: Database, connection: sa.Connection) -> None:
    from alembic import command, config, util  # noqa: PLC0415 - seldom needed, and 80 ms of every start

    told = config.Config()
    told.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    told.attributes["connection"] = connection
    try:
        command.upgrade(told, "head")
    except util.CommandError as error:
        raise ConfigError(f"{database.shown} was made by a newer version of this program") from error


def version(database: Database) -> str:
    """Where its schema stands; empty for a new one. Changes nothing."""
    connection = database.connect()
    try:
        return _version(connection) or ""
    finally:
        connection.close()


def _version(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return version
