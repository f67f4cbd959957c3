"""An HTTP server in a thread of this process, for as long as a context is open.

Belongs here: its life. What it answers is its handler's.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer

POLL_SECONDS = 0.05


class Quiet:
    """Mixed into a handler, it keeps connections open and requests out of the console."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a request is not worth a line in the terminal."""


@contextmanager
def running(server: ThreadingHTTPServer) -> Iterator[str]:
    """Serves until the context ends; yields the address, ``127.0.0.1:<port>``.

    Args:
        server: Bound to its port already.
    """
    # An answer that a client no longer waits for keeps nobody from ending.
    server.daemon_threads = True
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": POLL_SECONDS}, daemon=True
    )
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
