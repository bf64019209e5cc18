"""YAML text -> plain tree with the place of every value, and ``${NAME}`` filled in. No meaning is known here.

Every scalar stays text (a null is None): YAML would otherwise read the country NO as false, 06:00 as 360 and 0012 as 10.
The models turn text into numbers and flags.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from resources.retailer.mistakes import Mistake
from resources.retailer.names import nearest

Path = tuple[str | int, ...]

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass
class Source:
    """A parsed file. ``lines``: line (from 1) of each path; ``written``: scalars as they stand in the file."""

    tree: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    written: dict[Path, str] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)

    def line(self, path: Path) -> int:
        """The line of a path, or of the nearest parent that is in the file."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read_yaml(text: str, variables: Mapping[str, str]) -> Source:
    """Parse; broken YAML, a repeated key and an unknown variable become mistakes in the result."""
    source = Source()
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is not None:
            source.tree = _Walk(loader, source, variables).value(node, ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        source.mistakes.append(Mistake((), line, found=error.problem or "broken YAML", expected="well-formed YAML"))
    except yaml.YAMLError as error:
        source.mistakes.append(Mistake((), 1, found=str(error).splitlines()[0], expected="well-formed YAML in UTF-8"))
    finally:
        loader.dispose()
    return source


class _Walk:
    def __init__(self, loader: yaml.SafeLoader, source: Source, variables: Mapping[str, str]) -> None:
        self._loader, self._source, self._variables = loader, source, variables

    def value(self, node: yaml.Node, path: Path) -> Any:
        self._source.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        if node.tag == "tag:yaml.org,2002:null" and isinstance(node, yaml.ScalarNode) and node.style is None:
            return None
        return self._scalar(str(node.value), path)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            name = str(key.value)
            if name in seen and name != "<<":
                line = key.start_mark.line + 1
                self._source.mistakes.append(Mistake((*path, name), line, found="the key twice", expected="it once"))
            seen.add(name)
        self._loader.flatten_mapping(node)
        found: dict[str, Any] = {}
        for key, item in node.value:
            name = str(key.value)
            self._source.lines[(*path, name)] = key.start_mark.line + 1
            found[name] = self.value(item, (*path, name))
        return found

    def _scalar(self, text: str, path: Path) -> str:
        self._source.written[path] = text

        def fill(match: re.Match[str]) -> str:
            name = match.group(1)
            if name in self._variables:
                return self._variables[name]
            self._source.mistakes.append(
                Mistake(
                    path,
                    self._source.line(path),
                    found=f"${{{name}}}",
                    expected=f"the variable {name} in the environment or the .env file",
                    suggestion=nearest(name, (known for known in self._variables if known.startswith("ETALON_"))),
                )
            )
            return match.group(0)

        return _VARIABLE.sub(fill, text)
