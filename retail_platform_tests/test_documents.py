"""What README and docs name is there: commands with their options, files, and pages linked."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from retail_platform.cli.group import main

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def _spans(text: str) -> Iterator[str]:
    """Code of a document: inline, and each line of its blocks without its comment."""
    for block in re.findall(r"```[^\n]*\n(.*?)```", text, re.DOTALL):
        yield from (line.partition("#")[0] for line in block.splitlines())
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def _commands() -> list[tuple[str, str]]:
    found = []
    for document in DOCUMENTS:
        for span in _spans(document.read_text("utf-8")):
            _, named, rest = span.partition("retail-platform ")
            if named and not rest.startswith("="):
                found.append((document.name, rest.strip()))
    return found


@pytest.mark.parametrize(("document", "written"), _commands())
def test_a_command_that_a_document_names_exists_with_its_options(
    document: str, written: str
) -> None:
    command: click.Command = main
    words = shlex.split(written)
    while words and isinstance(command, click.Group):
        child = command.get_command(click.Context(command), words[0])
        assert child is not None, f"{document}: there is no command {words[0]!r}: {written}"
        command, words = child, words[1:]
    known = {option for parameter in command.params for option in parameter.opts}
    own = words[: words.index("--")] if "--" in words else words
    unknown = [word for word in own if word.startswith("--") and word not in known]
    assert unknown == [], f"{document}: {written}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_files_that_a_document_links_or_names_are_there(document: Path) -> None:
    text = document.read_text("utf-8")
    linked = [
        document.parent / target.partition("#")[0]
        for target in re.findall(r"\]\(([^)]+)\)", text)
        if "://" not in target
    ]
    named = [ROOT / span for span in _spans(text) if re.fullmatch(r"retail_platform/[\w/.]+", span)]
    missing = [str(path.relative_to(ROOT)) for path in linked + named if not path.exists()]
    assert missing == []
