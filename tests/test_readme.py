"""The README says what is true: its example runs as it is written, its commands exist."""

import asyncio
import re
import shlex
import sys
from pathlib import Path

import click
import pytest

from puller.cli.main import VERBS
from puller.cli.main import command as program
from testregistry import images, serve
from tests.cli.program import environment
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text("utf-8")
LAYER = images.layer({"etc/motd": b"hello\n"})
IMAGE = images.image(LAYER)


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def commands() -> list[list[str]]:
    """Every `puller …` of the README's consoles, as words."""
    lines = [line[2:] for block in blocks("console") for line in block.splitlines() if line.startswith("$ ")]
    words = [shlex.split(line, comments=True) for line in lines]
    words = [line[2:] if line[:2] == ["python", "-m"] else line for line in words]
    return [line[1:] for line in words if line[0] == "puller"]


async def test_the_example_runs_as_it_is_written(tmp_path: Path) -> None:
    (example,) = blocks("python")
    script = tmp_path / "example.py"
    script.write_text(example)
    async with serve() as registry:
        registry.add("app:1", IMAGE)
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(script), registry.name("app:1"), str(tmp_path / "store"),
            stdout=asyncio.subprocess.PIPE, env=environment(tmp_path, PYTHONPATH=str(ROOT)),
        )  # fmt: skip
        out, _ = await process.communicate()
    assert process.returncode == 0
    last = out.decode().splitlines()[-1]
    assert last == f"layer {LAYER.digest} fetched ['size', 'digest', 'diff_id', 'tarsum']"


def test_there_are_commands_to_hold_the_readme_to() -> None:
    assert len(commands()) >= 4


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_of_the_readme_is_understood(words: list[str]) -> None:
    verb, rest = (words[0], words[1:]) if words[0] in VERBS else ("pull", words)
    context = click.Context(program)
    command = program.get_command(context, verb)
    assert command is not None
    command.make_context(verb, rest, parent=context)  # raises for words it does not know


def test_every_verb_the_readme_names_is_in_the_help() -> None:
    named = re.search(r"^\$ puller images +# also: (.*)$", README, re.MULTILINE)
    assert named is not None
    assert set(named[1].split(", ")) <= VERBS.keys()


@pytest.mark.parametrize("option", sorted(set(re.findall(r"`?(--[a-z-]+)", README))))
def test_every_option_of_the_readme_exists(option: str) -> None:
    context = click.Context(program)
    known = {name for verb in VERBS for one in _parameters(context, verb) for name in one.opts}
    assert option in known | {"--help", "--version"}


def _parameters(context: click.Context, verb: str) -> list[click.Parameter]:
    command = program.get_command(context, verb)
    assert command is not None
    return command.params


def test_the_readmes_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)]+)\)", README)
    assert len(targets) > 5
    assert [target for target in targets if "://" not in target and not (ROOT / target).exists()] == []
