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

    def call(program, *args):
        command = [str(programs / program), *args]
        if getpass.getuser() == "root":  # PostgreSQL refuses to be run by root
            command = ["su", "postgres", "-s", "/bin/sh", "-c", shlex.join(command)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")

    if getpass.getuser() == "root":
        shutil.chown(folder, "postgres")
    data = str(folder / "data")

    def listening(port):
        options = f"-h 127.0.0.1 -p {port} -k {folder} -c fsync=off {settings}"
        log = str(folder / "log")
        return Server(
            f"postgresql+psycopg://optnas@127.0.0.1:{port}/postgres",
            start=lambda: call("pg_ctl", "-D", data, "-w", "-o", options, "-l", log, "start"),
            stop=lambda: call("pg_ctl", "-D", data, "-m", "immediate", "stop"),
        )

    try:
        call("initdb", "-D", data, "-U", "optnas", "-A", "trust", "-E", "UTF8", "--no-sync")
        for tries in (2, 1, 0):
            running = listening(free_port())
            try:
                running.start()
                break
            except subprocess.CalledProcessError:  # another program has taken the port meanwhile
                if not tries:
                    raise
        try:
            yield running
        finally:
            running.stop()
    finally:
        shutil.rmtree(folder)


def free_port():
    """A port of this machine that nobody listens on at the moment."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def database(url, name):
    """Makes a database, and gives its URL."""
    import sqlalchemy

    engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f'CREATE DATABASE "{name}"')
    engine.dispose()
    return url.replace("+psycopg", "").replace("/postgres", f"/{name}")
