"""YamlFile: YAML of which every value knows its line, so that whatever is wrong with it can be pointed at.

Only what JSON could say is taken: mappings with text keys, lists, text, numbers, booleans. Keys that come twice are
refused; so are aliases unless they are asked for, since a few lines of them can stand for gigabytes (THREATS H5): then
what they stand for is counted.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TypeVar

import yaml

from puller.errors import InvalidConfig

MAX_BYTES = 16 << 20
MAX_DEPTH = 20
MAX_REPEATS = 100_000  # values that aliases stand for, beyond those that are written
_MERGE = "tag:yaml.org,2002:merge"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Value:
    """One value, with the way to it (`mirrors[0].tags`) and its line, counted from 1."""

    file: str
    line: int
    path: str
    held: "Mapping[str, Value] | list[Value] | str | int | float | bool | None"
    written: str = ""  # a scalar as it stands there: 1.20 is a tag, and no number

    def wrong(self, what: str, *, wanted: str | None = None, got: str | None = None, hint: str = "") -> InvalidConfig:
        """The error for this value."""
        where = f"{self.file}:{self.line}: {self.path}" if self.path else f"{self.file}:{self.line}"
        return InvalidConfig(what, where=where, wanted=wanted, got=got, hint=hint)

    def mapping(self, known: Collection[str]) -> "Mapping[str, Value]":
        """A mapping with no other keys than these. Raises InvalidConfig, which names the nearest known key."""
        held = self.any_mapping()
        for key, value in held.items():
            if key not in known:
                import difflib

                near = difflib.get_close_matches(key, known, n=1)
                raise value.wrong("an unknown key", got=key, hint=f"Was {near[0]} meant?" if near else "")
        return held

    def any_mapping(self) -> "Mapping[str, Value]":
        """A mapping of whatever keys. Raises InvalidConfig."""
        if not isinstance(self.held, Mapping):
            raise self._of_kind("a mapping")
        return self.held

    def items(self) -> "list[Value]":
        """A list. Raises InvalidConfig."""
        if not isinstance(self.held, list):
            raise self._of_kind("a list")
        return self.held

    def text(self) -> str:
        """Text that is not empty; a number is taken as it is written. Raises InvalidConfig."""
        if not isinstance(self.held, str | int | float) or isinstance(self.held, bool) or not self.written:
            raise self._of_kind("text")
        return self.written

    def texts(self) -> list[str]:
        """A list of texts, or one alone."""
        return [item.text() for item in self.items()] if isinstance(self.held, list) else [self.text()]

    def integer(self, *, least: int = 0) -> int:
        """A whole number. Raises InvalidConfig."""
        if not isinstance(self.held, int) or isinstance(self.held, bool) or self.held < least:
            raise self._of_kind(f"a whole number of at least {least}")
        return self.held

    def boolean(self) -> bool:
        """True or false. Raises InvalidConfig."""
        if not isinstance(self.held, bool):
            raise self._of_kind("true or false")
        return self.held

    def read(self, parse: Callable[[str], T]) -> T:
        """What `parse` makes of the text; its InvalidConfig or ValueError gets the place."""
        text = self.text()
        try:
            return parse(text)
        except InvalidConfig as error:
            raise self.wrong(error.what, wanted=_shown(error.wanted), got=_shown(error.got), hint=error.hint) from error
        except ValueError as error:
            raise self.wrong(str(error) or "a wrong value", got=text[:120]) from error

    def _of_kind(self, wanted: str) -> InvalidConfig:
        got = {type(None): "nothing", dict: "a mapping", list: "a list"}.get(type(self.held), repr(self.held)[:80])
        return self.wrong("a value of another kind", wanted=wanted, got=got)


def load(raw: bytes, file: str, *, aliases: bool = False) -> Value:
    """The one document of a file; `file` is what errors call it. `aliases`: `*name` and `<<` are taken, too.

    Raises InvalidConfig.
    """
    if len(raw) > MAX_BYTES:
        raise InvalidConfig("the file is too large", where=file, wanted=f"at most {MAX_BYTES} bytes", got=len(raw))
    try:
        text = raw.decode("utf-8-sig")
        _check_events(text, file, aliases=aliases)
        node = yaml.compose(text, Loader=yaml.CSafeLoader)
        return Value(file, 1, "", {}) if node is None else _Reader(file).value(node, "", 0)
    except UnicodeDecodeError as error:
        raise InvalidConfig("the file is no UTF-8 text", where=file) from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark is not None else 1
        raise InvalidConfig("no YAML", where=f"{file}:{line}", got=error.problem, hint=_quoting(text, line)) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise InvalidConfig("no YAML", where=file, got=str(error)[:120]) from error


def _quoting(text: str, line: int) -> str:
    """What to do where a value begins with a star, which in YAML is an alias."""
    lines = text.splitlines()[line - 1 : line]
    if not any(re.search(r"(?:^|[:,\[{-])\s*\*", written) for written in lines):
        return ""
    return "What begins with `*` goes into quotes."


def _check_events(text: str, file: str, *, aliases: bool) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.AliasEvent) and not aliases:
            line = event.start_mark.line + 1 if event.start_mark is not None else 1
            raise InvalidConfig(
                "aliases are not taken",
                where=f"{file}:{line}",
                hint="Write it out, or put it into quotes where no alias is meant.",
            )
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise _too_deep(file)


def _too_deep(file: str) -> InvalidConfig:
    return InvalidConfig("nested too deep", where=file, wanted=f"at most {MAX_DEPTH} levels")


class _Reader:
    """Makes values of nodes, and counts them: behind aliases one node is read as often as it is named."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._read: set[int] = set()
        self._left = MAX_REPEATS

    def value(self, node: yaml.Node, path: str, depth: int) -> Value:
        self._count(node, depth)
        line = node.start_mark.line + 1
        if isinstance(node, yaml.MappingNode):
            held: dict[str, Value] = {}
            for key, inner in self._pairs(node, path, depth):
                held[key] = self.value(inner, f"{path}.{key}" if path else key, depth + 1)
            return Value(self._file, line, path, held)
        if isinstance(node, yaml.SequenceNode):
            found = [self.value(inner, f"{path}[{place}]", depth + 1) for place, inner in enumerate(node.value)]
            return Value(self._file, line, path, found)
        return Value(self._file, line, path, _scalar(node), node.value)

    def _pairs(self, node: yaml.MappingNode, path: str, depth: int) -> list[tuple[str, yaml.Node]]:
        """Keys and values; those that `<<` brings yield to its own (yaml.org/type/merge.html)."""
        found: dict[str, yaml.Node] = {}
        brought: list[tuple[str, yaml.Node]] = []
        for key, inner in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise InvalidConfig("a key must be text", where=f"{self._file}:{key.start_mark.line + 1}: {path}")
            if key.tag == _MERGE:
                brought += self._merged(inner, path, depth + 1)
            elif key.value in found:
                raise InvalidConfig(
                    "a key comes twice", where=f"{self._file}:{inner.start_mark.line + 1}", got=key.value
                )
            else:
                found[key.value] = inner
        for name, inner in brought:
            found.setdefault(name, inner)
        return list(found.items())

    def _merged(self, node: yaml.Node, path: str, depth: int) -> list[tuple[str, yaml.Node]]:
        self._count(node, depth)
        if isinstance(node, yaml.MappingNode):
            return self._pairs(node, path, depth)
        if not isinstance(node, yaml.SequenceNode):
            raise InvalidConfig("`<<` brings no mapping", where=f"{self._file}:{node.start_mark.line + 1}: {path}")
        return [pair for inner in node.value for pair in self._merged(inner, path, depth + 1)]

    def _count(self, node: yaml.Node, depth: int) -> None:
        if depth > MAX_DEPTH:  # an alias can name what it stands in
            raise _too_deep(self._file)
        self._left -= id(node) in self._read  # the tree keeps them all, so none takes the place of another
        self._read.add(id(node))
        if self._left < 0:
            wanted = f"at most {MAX_REPEATS} values by aliases"
            raise InvalidConfig("aliases stand for too much", where=self._file, wanted=wanted)


def _scalar(node: yaml.Node) -> str | int | float | bool | None:
    kind = node.tag.removeprefix("tag:yaml.org,2002:")
    text: str = node.value
    try:
        match kind:
            case "null":
                return None
            case "bool":
                return text.lower() in ("true", "yes", "on")
            case "int":
                return int(text.replace("_", ""), 0)
            case "float":
                return float(text)
            case _:
                return text
    except ValueError:
        return text  # 017, 1:30, .inf and their like: as they are written


def _shown(value: object) -> str | None:
    return None if value is None else str(value)
