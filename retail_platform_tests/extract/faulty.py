"""What goes wrong with the answers of test servers: the same faults for every one of them."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What an answer becomes.

    Attributes:
        status: Its status; 200 leaves the proper one.
        headers: Added to it.
        body: Takes the body's place, as it is or as JSON.
        cut: ``length``: half of the announced bytes, then the line is dropped; ``json``: a whole
            answer whose body is half of the JSON.
        drip: Seconds between the bytes of the body.
        silent: Seconds before anything is sent.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | Mapping[str, Any] | None = None
    cut: Literal["length", "json"] | None = None
    drip: float = 0.0
    silent: float = 0.0


def send(
    handler: BaseHTTPRequestHandler,
    status: int,
    body: object,
    fault: Fault | None,
    headers: Mapping[str, str | None],
) -> None:
    """Sends an answer, as a fault makes it.

    Args:
        handler: What answers.
        status: Its proper status.
        body: Its proper body, sent as JSON.
        fault: What becomes of it; None: nothing.
        headers: Its headers; those without a value are left out.
    """
    fault = fault or Fault()
    told = body if fault.body is None else fault.body
    content = told if isinstance(told, bytes) else json.dumps(told).encode()
    if fault.cut == "json":
        content = content[: len(content) // 2]
    time.sleep(fault.silent)
    try:
        handler.send_response(status if fault.status == 200 else fault.status)
        handler.send_header("Content-Length", str(len(content)))
        for name, value in {**headers, **fault.headers}.items():
            if value is not None:
                handler.send_header(name, value)
        handler.end_headers()
        if fault.cut == "length":
            content = content[: len(content) // 2]
            handler.close_connection = True
        for byte in content if fault.drip else ():
            handler.wfile.write(bytes([byte]))
            time.sleep(fault.drip)
        if not fault.drip:
            handler.wfile.write(content)
    except (BrokenPipeError, ConnectionResetError):
        # The client has lost patience, as some tests want it to.
        handler.close_connection = True
