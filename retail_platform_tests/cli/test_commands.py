"""Every command explains itself, and a mistake is one message that names the cure."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from retail_platform.cli.group import COMMANDS, main


def _leaves(command: click.Command, path: tuple[str, ...]) -> list[tuple[str, ...]]:
    if not isinstance(command, click.Group):
        return [path]
    context = click.Context(command)
    found: list[tuple[str, ...]] = []
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        assert child is not None
        found += _leaves(child, (*path, name))
    return found


ALL = _leaves(main, ())


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_a_command_has_a_help_that_explains_every_option(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, [*path, "--help"])
    assert result.exit_code == 0, result.output
    command: click.Command = main
    for name in path:
        assert isinstance(command, click.Group)
        child = command.get_command(click.Context(command), name)
        assert child is not None
        command = child
    assert command.help
    unexplained = [
        parameter.name
        for parameter in command.params
        if isinstance(parameter, click.Option) and not parameter.help
    ]
    assert unexplained == []


def test_the_first_help_line_of_each_command_is_listed() -> None:
    output = CliRunner().invoke(main, ["--help"]).output
    assert all(f"\n  {name}" in output for name in COMMANDS)


def test_a_wrong_setting_is_one_message_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETAIL_HOME", str(tmp_path))
    monkeypatch.setenv("RETAIL_ENGINES", "sail")
    result = CliRunner().invoke(main, ["audit"])
    assert result.exit_code == 1
    assert "RETAIL_ENGINES" in result.output
    assert "Traceback" not in result.output


def test_without_java_kafka_says_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    result = CliRunner().invoke(main, ["add-kafka"])
    assert result.exit_code == 1
    assert "install Java 17 or newer" in result.output
    assert "retail-platform add-kafka" in result.output
    assert "Traceback" not in result.output
