"""The process that keeps a private PostgreSQL for as long as its parent lives, and no longer.

Run by path, in an interpreter of its own: it imports nothing but the standard library. The parent
holds the other end of standard input. When that closes, for whatever reason, the server is stopped
by its own process id and its folder is deleted: not even a killed parent leaves a server behind.

    python postgres_keeper.py PROGRAMS FOLDER PORT [USER]

The superuser's password is the first line of standard input. ``ready`` is printed once the cluster
is made and its server was started; what fails goes to standard error and ends with code 1.
"""

import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

STOP_SECONDS = 20


def main(programs: Path, folder: Path, port: str, user: str | None) -> int:
    """Serve until standard input ends."""
    password = sys.stdin.readline().rstrip("\n")
    # Ctrl-C reaches the whole group: the end of standard input is the one sign to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        return _keep(programs, folder, port, user, password)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _keep(programs: Path, folder: Path, port: str, user: str | None, password: str) -> int:
    data = folder / "data"
    with tempfile.NamedTemporaryFile("w", dir=folder) as secret:
        secret.write(password)
        secret.flush()
        if user:
            shutil.chown(secret.name, user)
        made = subprocess.run(
            [
                *(programs / "initdb", "-D", data, "-U", "postgres", "--no-sync"),
                *("-A", "scram-sha-256", f"--pwfile={secret.name}", "-E", "UTF8", "--no-locale"),
            ],
            user=user,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
    if made.returncode:
        sys.stderr.write(made.stderr)
        return 1
    settings = {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        # Its content is made anew at every start: a crash may take it.
        "fsync": "off",
        "shared_buffers": "32MB",
        "autovacuum": "off",
        "log_min_messages": "fatal",
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    server = subprocess.Popen(
        [programs / "postgres", "-D", data, "-p", port, *options],
        user=user,
        cwd=folder,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.read()
    finally:
        server.send_signal(signal.SIGQUIT)
        try:
            server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
    return 0


if __name__ == "__main__":
    _, programs, folder, port, *rest = sys.argv
    sys.exit(main(Path(programs), Path(folder), port, rest[0] if rest else None))
