"""Reads a YAML file into a model, and finds the line of any of its fields.

Lines are looked for only when there is something to complain about: a good file costs one parse.
What the fields mean, and how files refer to each other, belongs in ``loader``.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from retail_platform.failures import PermanentFailure

Model = TypeVar("Model", bound=BaseModel)
Steps = tuple[int | str, ...]


class _Loader(yaml.CSafeLoader):
    """Refuses a key that is written twice: YAML would let the second win silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[object] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} is written twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


@dataclass(frozen=True)
class Place:
    """A field of a file, as error messages name it.

    Attributes:
        path: The file.
        steps: Keys and positions that lead to the field.
        label: What the field belongs to, such as ``table orders``; empty for the file itself.
    """

    path: Path
    steps: Steps = ()
    label: str = ""

    def at(self, *steps: int | str) -> "Place":
        """A field below this one."""
        return Place(self.path, (*self.steps, *steps), self.label)

    def __str__(self) -> str:
        where = f"{self.path.name} line {line_of(self.path, self.steps)}"
        return f"{where}: {self.label}" if self.label else where


def read_model(path: Path, model: type[Model]) -> Model:
    """Reads one file.

    Raises:
        PermanentFailure: it is no YAML or does not fit the model; the message names file, line
            and field of every fault.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a safe loader
    except yaml.YAMLError as error:
        raise PermanentFailure(f"{path.name} is not YAML: {error}") from error
    try:
        return model.model_validate(content)
    except ValidationError as error:
        details = "; ".join(
            f"line {line_of(path, problem['loc'])}: {_field(content, problem['loc'])}: "
            f"{problem['msg']}"
            for problem in error.errors()
        )
        raise PermanentFailure(f"{path.name} {details}") from error


def line_of(path: Path, steps: Steps) -> int:
    """The line, from 1, of a field; of what it would belong to where it is missing.

    Args:
        path: A file that is YAML.
        steps: Keys and positions that lead to the field; those that the file does not have (a
            model's own names for alternatives) are passed over.
    """
    node = yaml.compose(path.read_text(encoding="utf-8"), yaml.SafeLoader)
    line = 1
    for step in steps:
        found = _below(node, step)
        if found is not None:
            line, node = found
    return line


def _below(node: yaml.Node | None, step: int | str) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(step):
                return key.start_mark.line + 1, value
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step].start_mark.line + 1, node.value[step]
    return None


def _field(content: object, location: Steps) -> str:
    """The field's path with table names instead of positions: ``tables.orders.key``."""
    names: list[str] = []
    for step in location:
        content = _step(content, step)
        label = step
        if isinstance(step, int) and isinstance(content, dict):
            label = content.get("table") or content.get("name") or step
        names.append(str(label))
    return ".".join(names)


def _step(content: object, step: int | str) -> object:
    if isinstance(content, dict):
        return content.get(step, content)
    if isinstance(content, list) and isinstance(step, int) and step < len(content):
        return content[step]
    return content
