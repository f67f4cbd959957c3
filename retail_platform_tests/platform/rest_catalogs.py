"""A ticket API for tests: what it holds, how it answers, and the catalog of its two tables."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from retail_platform.metadata.loader import Catalog, load_catalog
from retail_platform_tests.extract.rest_server import CLIENT_SECRET, RestServer
from retail_platform_tests.platform.box import HOUR, hour_at
from retail_platform_tests.platform.catalogs import Tree, contract, write_catalog

COLUMNS = {"ticket_id": "bigint", "channel": "string", "cost": "int", "updated_at": "timestamp"}
COMMENTS = {
    "comment_id": "bigint",
    "ticket_id": "bigint",
    "body": "string",
    "created_at": "timestamp",
}
OAUTH = {
    "kind": "oauth",
    "token_url": {"env": "DESK_TOKEN_URL"},
    "client_id": {"env": "DESK_CLIENT_ID"},
    "client_secret": {"env": "DESK_CLIENT_SECRET"},
}


@dataclass
class Tickets:
    """The tickets of a server, two a page, by cursor; ``updated_since`` and ``updated_before``.

    Attributes:
        server: The server that answers with them.
        rows: Tickets by id.
    """

    server: RestServer
    rows: dict[int, Tree] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Let the server answer."""
        self.server.answer = self._answer
        self.close(0)

    def close(self, number: int) -> None:
        """Set the server's clock to just after hour ``number``."""
        self.server.source_clock = (hour_at(number) + HOUR).isoformat()

    def put(self, ticket: int, at: str, **members: Any) -> None:
        """Write a ticket as changed at ``hh:mm`` of the tests' day."""
        moment = f"2026-01-05T{at}:00Z"
        comments = members.pop("comments", [])
        self.rows[ticket] = {
            "id": ticket,
            "via": {"channel": "web"},
            "cost": 1,
            "updated_at": moment,
            "comments": [{"id": n, "body": f"text {n}", "created_at": moment} for n in comments],
            **members,
        }

    def environ(self, secret: str = CLIENT_SECRET) -> dict[str, str]:
        """Where the source is."""
        return {
            "DESK_URL": self.server.url,
            "DESK_TOKEN_URL": f"{self.server.url}/token",
            "DESK_CLIENT_ID": "the-platform",
            "DESK_CLIENT_SECRET": secret,
        }

    def _answer(self, _path: str, query: dict[str, str]) -> tuple[int, Any]:
        since, before = query.get("updated_since"), query.get("updated_before")
        found = [
            row
            for row in sorted(self.rows.values(), key=lambda row: row["id"])
            if (since is None or _moment(row) >= datetime.fromisoformat(since))
            and (before is None or _moment(row) < datetime.fromisoformat(before))
        ]
        begin = int(query.get("cursor", "0"))
        following = str(begin + 2) if begin + 2 < len(found) else None
        return 200, {"tickets": found[begin : begin + 2], "next": following}


def _moment(row: Tree) -> datetime:
    return datetime.fromisoformat(str(row.get("changed", row["updated_at"])))


def desk_catalog(folder: Path, **row: Any) -> Path:
    """The catalog of tickets and their comments.

    Args:
        folder: Where it is written.
        row: What the row of tickets says otherwise.
    """
    tickets = {
        "table": "tickets",
        "load": "incremental",
        "rest": {
            "path": "/tickets",
            "records": "tickets",
            "paging": {"by": "cursor", "cursor": "next"},
            "since": {
                "member": "updated_at",
                "parameter": "updated_since",
                "until": "updated_before",
            },
        },
        "key": ["ticket_id"],
        "watermark": {"column": "updated_at"},
        "columns": {"id": "ticket_id", "via.channel": "channel"},
        "silver": {"entity": "tickets", "merge": "upsert"},
        **row,
    }
    comments = {
        "table": "comments",
        "child_of": "tickets",
        "elements": "comments",
        "key": ["comment_id"],
        "watermark": {"column": "created_at"},
        "columns": {"id": "comment_id", "_record.id": "ticket_id"},
        "silver": {"entity": "comments", "merge": "upsert", "sweep": ["ticket_id"]},
        "depends_on": ["tickets"],
    }
    source = {
        "source": "desk",
        "connection": {
            "kind": "rest",
            "url": {"env": "DESK_URL"},
            "timezone": "UTC",
            "auth": OAUTH,
            "attempts": 1,
            "timeout": 1,
        },
        "tables": [tickets, comments],
    }
    contracts = [
        contract("tickets", COLUMNS, ["ticket_id"], max_quarantined=100),
        contract("comments", COMMENTS, ["comment_id"]),
    ]
    return write_catalog(folder, [source], contracts)


def desk(folder: Path, **row: Any) -> Catalog:
    """The same, read."""
    return load_catalog(desk_catalog(folder, **row))
