"""A PostgreSQL server on loopback, for as long as a test session lasts."""

import getpass
import shlex
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin")) + [
    Path(found).parent for found in [shutil.which("initdb")] if found
]


class Server(NamedTuple):
    """A server, which runs."""

    url: str
    start: Callable[[], None]
    stop: Callable[[], None]


@contextmanager
def server(prefix="optnas-postgres-", settings=""):
    """Gives a server whose databases are made by `database()`; None where none is installed.

    Args:
        prefix: The name of its folder in /tmp begins with it.
        settings: Further options of the server, such as `-c max_connections=10`.
    """
    if not PROGRAMS:
        yield None
        return
    programs, folder = PROGRAMS[-1], Path(tempfile.mkdtemp(prefix=prefix, dir="/tmp"))
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]

    def call(program, *args):
        command = [str(programs / program), *args]
        if getpass.getuser() == "root":  # PostgreSQL refuses to be run by root
            command = ["su", "postgres", "-s", "/bin/sh", "-c", shlex.join(command)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")

    if getpass.getuser() == "root":
        shutil.chown(folder, "postgres")
    data = str(folder / "data")
    options = f"-h 127.0.0.1 -p {port} -k {folder} -c fsync=off {settings}"
    try:
        call("initdb", "-D", data, "-U", "optnas", "-A", "trust", "-E", "UTF8", "--no-sync")
        log = str(folder / "log")
        running = Server(
            f"postgresql+psycopg://optnas@127.0.0.1:{port}/postgres",
            start=lambda: call("pg_ctl", "-D", data, "-w", "-o", options, "-l", log, "start"),
            stop=lambda: call("pg_ctl", "-D", data, "-m", "immediate", "stop"),
        )
        running.start()
        try:
            yield running
        finally:
            running.stop()
    finally:
        shutil.rmtree(folder)


def database(url, name):
    """Makes a database, and gives its URL."""
    import sqlalchemy

    engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f'CREATE DATABASE "{name}"')
    engine.dispose()
    return url.replace("+psycopg", "").replace("/postgres", f"/{name}")
