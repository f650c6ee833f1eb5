"""The import law of docs/architecture.md, read from the source by `ast`: which module may know which.

Each rule takes a module and yields (line, offence). The lower half proves that each one fires, and does not fire too
early, on sources made up for it.
"""

import ast
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CEILING = 400  # lines; beyond it a noun is hiding

FLOORS = {
    "model": 0, "errors": 0, "version": 0,
    "stream": 1, "legacy": 1,
    "contracts": 2,
    "registry": 3, "settings": 3, "store": 3, "graph": 3, "rootfs": 3, "archive": 3, "mirror": 3, "objects": 3,
    "ops": 4, "web": 4,
    "cli": 5,
    "__init__": 6, "__main__": 6,  # the door: `import puller` and `python -m puller`
}  # fmt: skip

# What a pure machine must not even import: waiting, the outside world, the clock, chance, the log.
OUTSIDE = (
    {"aiofiles", "aiohttp", "anyio", "asyncio", "concurrent", "multiprocessing", "queue", "signal", "threading"}
    | {"glob", "os", "pathlib", "shutil", "sqlite3", "subprocess", "tempfile"}
    | {"http", "select", "selectors", "socket", "ssl", "urllib.request"}
    | {"logging", "random", "secrets", "time", "uuid"}
)
CLOCK_METHODS = frozenset({"now", "utcnow", "today"})
FILE_METHODS = frozenset({"open", "open_code", "fdopen"})

HOMES = {
    "aiohttp": ("puller/registry/", "puller/web/"),
    "aiofiles": ("puller/store/files.py",),
    "distributed": ("puller/ops/syncing/sharing.py", "puller/ops/syncing/crew.py", "puller/ops/syncing/cluster.py"),
    "click": ("puller/cli/",),
    "rich": ("puller/cli/",),
    "rich_click": ("puller/cli/",),
}
TERMINAL = frozenset({"sys.stdout", "sys.stderr", "sys.stdin", "sys.__stdout__", "sys.__stderr__", "sys.argv"})
ENVIRONMENT = frozenset({"os.environ", "os.environb", "os.getenv", "os.getenvb", "os.putenv"})


@dataclass(frozen=True)
class Import:
    """One imported thing: `target` is dotted and whole (`from a.b import c` is `a.b.c`), `alias` its local name."""

    line: int
    target: str
    alias: str


@dataclass(frozen=True)
class Module:
    """One source file; `path` is relative to the checkout, with slashes."""

    path: str
    source: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source, self.path)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(self.tree))

    @property
    def package(self) -> str:
        return self.path.split("/")[0]

    @property
    def room(self) -> str:
        return self.path.split("/")[1].removesuffix(".py")

    @property
    def floor(self) -> int | None:
        return FLOORS.get(self.room) if self.package == "puller" else None

    @cached_property
    def imports(self) -> list[Import]:
        found: list[Import] = []
        for node in self.nodes:
            if isinstance(node, ast.Import):
                found += [Import(node.lineno, a.name, a.asname or a.name.split(".")[0]) for a in node.names]
            elif isinstance(node, ast.ImportFrom):
                origin = self._origin(node)
                found += [Import(node.lineno, f"{origin}.{a.name}", a.asname or a.name) for a in node.names]
            elif isinstance(node, ast.Call) and _dotted(node.func).endswith(("import_module", "__import__")):
                match node.args:
                    case [ast.Constant(value=str(target)), *_]:
                        found.append(Import(node.lineno, target, ""))
                    case _:
                        found.append(Import(node.lineno, "", ""))  # decided at run time
        return found

    def _origin(self, node: ast.ImportFrom) -> str:
        here = self.path.removesuffix(".py").split("/")[: -node.level or None] if node.level else []
        return ".".join([*here, *([node.module] if node.module else [])])


Offences = Iterator[tuple[int, str]]


def _dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _line(node: ast.AST) -> int:
    return getattr(node, "lineno", 0)


def _is_of(target: str, library: str) -> bool:
    return target == library or target.startswith(f"{library}.")


def _room_of(target: str) -> str | None:
    """The room that a dotted name of puller lies in; the door for names that `puller/__init__.py` hands out."""
    package, _, rest = target.partition(".")
    if package != "puller":
        return None
    room = rest.split(".")[0]
    return room if room in FLOORS else "__init__"


def imports_point_down(module: Module) -> Offences:
    """Laws 1 and 2 of the floors: lower floors only, never the room next door; floor 0 needs the standard library."""
    if module.package != "puller":
        return
    if module.floor is None:
        yield 1, f"no floor is named for the room {module.room}"
        return
    for found in module.imports:
        room = _room_of(found.target)
        if room is None or room == module.room:
            continue
        floor = FLOORS[room]
        if not (floor < module.floor or floor == module.floor == 0):
            yield found.line, f"floor {module.floor} ({module.room}) imports floor {floor} ({room})"


def the_ground_floor_needs_no_library(module: Module) -> Offences:
    """Floor 0 imports itself and the standard library."""
    if module.floor != 0:
        return
    for found in module.imports:
        top = found.target.split(".")[0]
        if top != "puller" and top not in sys.stdlib_module_names:
            yield found.line, f"floor 0 imports {found.target}"


def machines_are_pure(module: Module) -> Offences:
    """Law 2: floors 0 and 1 have no async, no open, no socket, no clock, no environment and no logging."""
    if module.floor not in (0, 1):
        return
    for found in module.imports:
        if any(_is_of(found.target, library) for library in OUTSIDE):
            yield found.line, f"floor {module.floor} imports {found.target}"
    for node in module.nodes:
        if isinstance(node, ast.AsyncFunctionDef | ast.AsyncFor | ast.AsyncWith | ast.Await):
            yield _line(node), f"floor {module.floor} is async"
        elif isinstance(node, ast.Call):
            name = _dotted(node.func) or (node.func.attr if isinstance(node.func, ast.Attribute) else "")
            if name.split(".")[-1] in FILE_METHODS | CLOCK_METHODS:
                yield _line(node), f"floor {module.floor} calls {name}"


def libraries_stay_at_home(module: Module) -> Offences:
    """Law 3: aiohttp, aiofiles and the command-line libraries are each known to one place."""
    if module.package != "puller":
        return
    for found in module.imports:
        for library, homes in HOMES.items():
            if _is_of(found.target, library) and not module.path.startswith(homes):
                yield found.line, f"{library} is imported outside {' and '.join(homes)}"


def only_the_face_talks(module: Module) -> Offences:
    """Law 3: the terminal, the command line and the environment belong to cli."""
    if module.package != "puller" or module.room == "cli":
        return
    used = [(found.line, found.target) for found in module.imports]
    used += [(_line(node), _dotted(node)) for node in module.nodes if isinstance(node, ast.Attribute)]
    for line, name in used:
        if name in TERMINAL | ENVIRONMENT:
            yield line, f"{name} is used outside cli"
    for node in module.nodes:
        if isinstance(node, ast.Call) and _dotted(node.func) in ("print", "input"):
            yield _line(node), f"{_dotted(node.func)}() is called outside cli"


def second_opinions_are_independent(module: Module) -> Offences:
    """Law 4: testregistry imports nothing from puller, and puller nothing from it."""
    other = {"puller": "testregistry", "testregistry": "puller"}.get(module.package)
    for found in module.imports:
        if other is not None and _is_of(found.target, other):
            yield found.line, f"{module.package} imports {found.target}"
        if module.package == "puller" and _is_of(found.target, "tests"):
            yield found.line, "puller imports its tests"


def no_import_is_hidden(module: Module) -> Offences:
    """What is imported by a name made at run time cannot be checked: only the door and the command tree may."""
    if module.package != "puller" or module.room in ("__init__", "cli"):
        return
    for found in module.imports:
        if not found.target:
            yield found.line, "a module is imported by a name made at run time"


def modules_are_small(module: Module) -> Offences:
    """No module passes the ceiling."""
    lines = module.source.count("\n")
    if lines > CEILING:
        yield CEILING, f"{lines} lines"


def private_names_stay_in_their_room(module: Module) -> Offences:
    """A name that begins with one underscore is used in its own room only."""
    if module.package != "puller":
        return
    strangers = {}
    for found in module.imports:
        room = _room_of(found.target)
        if room in (None, module.room):
            continue
        strangers[found.alias] = found.target
        if any(_is_private(part) for part in found.target.split(".")):
            yield found.line, f"private name of another room: {found.target}"
    for node in module.nodes:
        if isinstance(node, ast.Attribute) and _is_private(node.attr):
            owner = _dotted(node.value).split(".")[0]
            if owner in strangers:
                yield node.lineno, f"private name of another room: {strangers[owner]}.{node.attr}"


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


Rule = Callable[[Module], Offences]
RULES: tuple[Rule, ...] = (
    imports_point_down,
    the_ground_floor_needs_no_library,
    machines_are_pure,
    libraries_stay_at_home,
    only_the_face_talks,
    second_opinions_are_independent,
    no_import_is_hidden,
    modules_are_small,
    private_names_stay_in_their_room,
)


def _name(rule: Rule) -> str:
    return rule.__name__


@pytest.fixture(scope="module")
def house() -> list[Module]:
    """Every module of the checkout."""
    files = (path for top in ("puller", "testregistry", "tests", "bench") for path in (ROOT / top).rglob("*.py"))
    return [Module(path.relative_to(ROOT).as_posix(), path.read_text("utf-8")) for path in sorted(files)]


@pytest.mark.parametrize("rule", RULES, ids=_name)
def test_the_house_keeps_its_law(rule: Rule, house: list[Module]) -> None:
    assert [f"{module.path}:{line}: {text}" for module in house for line, text in rule(module)] == []


def test_d11_e1_no_archive_is_read_by_the_standard_library(house: list[Module]) -> None:
    """Its tar reader can be led out of its directory, and its zip reader believes what overlaps (THREATS D11, E1)."""
    readers = ("tarfile", "zipfile", "shutil.unpack_archive")
    own = [module for module in house if module.package == "puller"]
    used = [(module.path, found.target) for module in own for found in module.imports if found.target in readers]
    assert own
    assert used == []


def test_the_house_was_read_at_all(house: list[Module]) -> None:
    read = {module.path for module in house}
    assert {"puller/errors.py", "puller/model/digest.py", "puller/contracts/content.py"} <= read


OFFENDING: tuple[tuple[Rule, str, str], ...] = (
    (imports_point_down, "puller/model/x.py", "from puller.stream.sink import Sink"),
    (imports_point_down, "puller/model/x.py", "def f():\n    import puller.cli.main"),
    (imports_point_down, "puller/errors.py", "from puller.contracts import content"),
    (imports_point_down, "puller/stream/x.py", "from puller.legacy import gojson"),
    (imports_point_down, "puller/contracts/x.py", "from puller.store.disk import DiskStore"),
    (imports_point_down, "puller/store/x.py", "from puller.registry.client import RegistryClient"),
    (imports_point_down, "puller/store/x.py", "from ..registry import client"),
    (imports_point_down, "puller/graph/x.py", "import puller.rootfs.vfs as vfs"),
    (imports_point_down, "puller/registry/x.py", "from puller.ops.pull import pull"),
    (imports_point_down, "puller/ops/x.py", "from puller.cli import main"),
    (imports_point_down, "puller/ops/x.py", "from puller import pull"),
    (imports_point_down, "puller/ops/x.py", "import puller"),
    (imports_point_down, "puller/store/x.py", "import_module('puller.registry.client')"),
    (imports_point_down, "puller/store/x.py", "if TYPE_CHECKING:\n    from puller.ops.pulling.plan import Step"),
    (imports_point_down, "puller/attic/x.py", "pass"),
    (the_ground_floor_needs_no_library, "puller/model/x.py", "import attrs"),
    (the_ground_floor_needs_no_library, "puller/errors.py", "from isal import igzip"),
    (machines_are_pure, "puller/model/x.py", "async def f(): ..."),
    (machines_are_pure, "puller/stream/x.py", "async def f():\n    async with a: await b"),
    (machines_are_pure, "puller/stream/x.py", "open('x')"),
    (machines_are_pure, "puller/stream/x.py", "import io\nio.open('x')"),
    (machines_are_pure, "puller/stream/x.py", "f().open('x')"),
    (machines_are_pure, "puller/stream/x.py", "import socket"),
    (machines_are_pure, "puller/stream/x.py", "from asyncio import Queue"),
    (machines_are_pure, "puller/model/x.py", "from time import monotonic"),
    (machines_are_pure, "puller/model/x.py", "from datetime import datetime\ndatetime.now()"),
    (machines_are_pure, "puller/model/x.py", "import os\nos.environ['HOME']"),
    (machines_are_pure, "puller/legacy/x.py", "import logging"),
    (machines_are_pure, "puller/legacy/x.py", "from random import random"),
    (libraries_stay_at_home, "puller/store/x.py", "import aiohttp"),
    (libraries_stay_at_home, "puller/ops/x.py", "from aiohttp.client import ClientSession"),
    (libraries_stay_at_home, "puller/store/disk.py", "import aiofiles.os"),
    (libraries_stay_at_home, "puller/ops/x.py", "import click"),
    (libraries_stay_at_home, "puller/ops/x.py", "from rich.progress import Progress"),
    (only_the_face_talks, "puller/ops/x.py", "print('done')"),
    (only_the_face_talks, "puller/ops/x.py", "import sys\nsys.stdout.write('done')"),
    (only_the_face_talks, "puller/ops/x.py", "from sys import stderr"),
    (only_the_face_talks, "puller/registry/x.py", "import os\nos.environ.get('HOME')"),
    (only_the_face_talks, "puller/registry/x.py", "from os import environ"),
    (only_the_face_talks, "puller/store/x.py", "import os\nos.getenv('PULLER_STORE')"),
    (only_the_face_talks, "puller/store/x.py", "input()"),
    (second_opinions_are_independent, "testregistry/x.py", "from puller.model.digest import Digest"),
    (second_opinions_are_independent, "testregistry/x.py", "import puller"),
    (second_opinions_are_independent, "puller/cli/x.py", "from testregistry.app import serve"),
    (second_opinions_are_independent, "puller/cli/x.py", "__import__('testregistry')"),
    (second_opinions_are_independent, "puller/ops/x.py", "from tests.conftest import shared_dir"),
    (no_import_is_hidden, "puller/ops/x.py", "from importlib import import_module\nimport_module(name)"),
    (no_import_is_hidden, "puller/ops/x.py", "import importlib\nimportlib.import_module(f'puller.{name}')"),
    (modules_are_small, "puller/ops/x.py", "pass\n" * (CEILING + 1)),
    (modules_are_small, "testregistry/x.py", "pass\n" * (CEILING + 1)),
    (private_names_stay_in_their_room, "puller/ops/x.py", "from puller.store.disk import _path"),
    (private_names_stay_in_their_room, "puller/ops/x.py", "from puller.store._disk import path"),
    (private_names_stay_in_their_room, "puller/ops/x.py", "from puller.store import disk\ndisk._path()"),
    (private_names_stay_in_their_room, "puller/ops/x.py", "import puller.store.disk\npuller.store.disk._path()"),
)

INNOCENT: tuple[tuple[str, str], ...] = (
    ("puller/errors.py", "from puller.model.text import printable"),
    ("puller/model/x.py", "from puller.errors import InvalidDigest\nimport re, json, hashlib"),
    ("puller/stream/x.py", "from puller.model import digest\nfrom isal import isal_zlib\nfrom io import BytesIO"),
    ("puller/contracts/x.py", "from puller.stream.sink import Sink\nclass S:\n    async def f(self) -> None: ..."),
    ("puller/store/x.py", "import os\nfrom puller.contracts import content\nfrom puller.store.files import _sync"),
    ("puller/store/files.py", "import aiofiles\nos.open('x', os.O_RDONLY)"),
    ("puller/registry/session.py", "import aiohttp\nfrom puller.version import VERSION\nimport logging"),
    ("puller/ops/pull.py", "from puller.store import disk\nfrom puller.registry.client import RegistryClient"),
    ("puller/cli/x.py", "import click, os, sys\nprint(os.environ, sys.stdout)\nimport_module(name)"),
    ("puller/cli/x.py", "import puller.ops.pull\nfrom puller.store import disk"),
    ("puller/__init__.py", "import importlib\nfrom puller.ops.pull import pull\nimportlib.import_module(name)"),
    ("puller/__main__.py", "from puller.cli.main import main"),
    ("puller/ops/x.py", "self._names = other._names\nstore.__class__"),
    ("testregistry/x.py", "import aiohttp, os\nprint(os.environ)"),
    ("tests/x.py", "from puller.ops.pull import pull\nfrom testregistry.app import serve\nprint()"),
    ("puller/ops/x.py", "pass\n" * CEILING),
)


@pytest.mark.parametrize(("rule", "path", "source"), OFFENDING, ids=lambda value: getattr(value, "__name__", None))
def test_each_rule_fires_on_a_source_that_breaks_it(rule: Rule, path: str, source: str) -> None:
    assert list(rule(Module(path, source))) != []


@pytest.mark.parametrize(("path", "source"), INNOCENT)
def test_no_rule_fires_on_a_source_that_keeps_the_law(path: str, source: str) -> None:
    module = Module(path, source)
    assert [(_name(rule), *offence) for rule in RULES for offence in rule(module)] == []


def test_every_rule_has_been_seen_to_fire() -> None:
    assert {rule for rule, _, _ in OFFENDING} == set(RULES)
