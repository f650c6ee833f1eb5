"""docs/scheduling.md: what it shows can be run, and its numbers are those that are served."""

import json
import re
import shlex
import shutil
import stat
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

from puller.cli.main import command as puller
from puller.cli.metering import families
from puller.mirror.formats import read
from puller.model.sync import Carried, Item, SyncReport
from puller.ops.syncing.tallies import Tallies
from puller.ops.syncing.turns import keyed
from tests.conftest import ROOT
from tests.ops.syncing.watchful import NOON, key, mirror

PAGE = (ROOT / "docs" / "scheduling.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.M | re.S)
UNITS = {re.findall(r"system/(\S+)", text)[0]: text for kind, text in BLOCKS if kind == "ini"}


def commands() -> Iterator[list[str]]:
    """Every command line of puller on the page, without its first word."""
    for line in re.findall(r"^    puller (.*)$", PAGE, re.M):
        yield shlex.split(line)
    for text in UNITS.values():
        yield from (shlex.split(line) for line in re.findall(r"^ExecStart=\S+/puller (.*)$", text, re.M))
    (container,) = (text for kind, text in BLOCKS if kind == "dockerfile")
    yield from (json.loads(line) for line in re.findall(r"^CMD (\[.*\])$", container, re.M))


def yaml_block(first: str) -> object:
    (found,) = (text for kind, text in BLOCKS if kind == "yaml" and text.startswith(f"# {first}\n"))
    return yaml.safe_load(found)


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_every_command_of_the_page_is_understood(words: list[str]) -> None:
    verb = puller.get_command(click.Context(puller), words[0])
    assert verb is not None
    context = verb.make_context(words[0], words[1:])
    rhythm = context.params.get("schedule")
    assert rhythm is None or rhythm is ("--schedule" in words)


def test_the_page_has_commands_of_each_kind() -> None:
    found = [words[:2] for words in commands()]
    assert found.count(["sync", "--schedule"]) == 2
    assert ["sync", "/etc/puller/mirrors.yaml"] in found
    assert ["status", "mirrors.yaml"] in found


def test_the_options_that_the_text_speaks_of_are_there() -> None:
    verb = puller.get_command(click.Context(puller), "sync")
    assert verb is not None
    options = {name for parameter in verb.params for name in parameter.opts}
    status = puller.get_command(click.Context(puller), "status")
    assert status is not None
    options |= {name for parameter in status.params for name in parameter.opts}
    text = re.sub(r"^```.*?^```", "", PAGE, flags=re.M | re.S)
    spoken = {word for code in re.findall(r"`([^`]+)`", text) for word in re.findall(r"(?<![\w-])--[a-z-]+", code)}
    assert len(spoken) >= 9
    assert spoken <= options


@pytest.mark.parametrize("text", [text for kind, text in BLOCKS if kind == "yaml" and text.startswith("puller: 1")])
def test_the_configurations_are_read(text: str) -> None:
    assert [one.schedule for one in read(text.encode(), "page").mirrors][:2] == ["17 */6 * * *", "every 90m"]


def served() -> dict[str, set[str]]:
    """The labels of each number that a daemon can serve."""
    error = {"error": "NotFound", "what": "no such tag"}
    items = (
        Item("up.example/a", "1", "down.example/a", "1", "new", "", carried=Carried("sha256:")),
        Item("up.example/a", "2", "down.example/a", "2", "failed", "", error=error),
    )
    tallies = Tallies(NOON)
    tallies.count(SyncReport("r", "c", NOON, NOON, items, requests={"h": {"GET": 1}}), keyed([mirror("a")]))
    tallies.planned({key("a"): NOON})
    tallies.of(key("a")).succeeded = NOON
    tallies.quotas["h"] = 1
    tallies.begin([key("a")], NOON)
    return {one.name: {label for sample in one.samples for label in sample.labels} for one in families(tallies, 0)}


def test_the_table_has_every_number_with_its_labels_and_no_other() -> None:
    rows = re.findall(r"^\| (`puller_\w+`(?:, `puller_\w+`)*) \| ([^|]*)\|", PAGE, re.M)
    told = {
        name: set(re.findall(r"`(\w+)`", labels)) for names, labels in rows for name in re.findall(r"`(\w+)`", names)
    }
    assert told == served()


def test_the_alerts_are_about_numbers_that_are_served() -> None:
    rules = yaml_block("puller-rules.yml")
    assert isinstance(rules, dict)
    expressions = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    used = {name for expression in expressions for name in re.findall(r"puller_\w+", expression)}
    assert len(expressions) >= 8
    assert used <= served().keys()
    assert isinstance(yaml_block("prometheus.yml"), dict)


def test_the_container_is_given_all_that_pip_builds_from() -> None:
    (container,) = (text for kind, text in BLOCKS if kind == "dockerfile")
    copied = {word for line in re.findall(r"^COPY (.*) \S+$", container, re.MULTILINE) for word in line.split()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert {"pyproject.toml", "puller", project["readme"], *project["license-files"]} <= copied
    assert all((ROOT / word).exists() for word in copied)


def test_the_compose_file_gives_a_stop_more_time_than_the_grace() -> None:
    compose = yaml_block("compose.yaml")
    assert isinstance(compose, dict)
    mirror = compose["services"]["mirror"]
    assert mirror["stop_grace_period"] == "1m"
    assert mirror["ports"] == ["127.0.0.1:9090:9090"]


@pytest.mark.slow  # starts systemd's own reader of units
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    program = tmp_path / "puller"
    program.write_text("#!/bin/sh\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    files = []
    for name, text in UNITS.items():
        files.append(tmp_path / name)
        files[-1].write_text(text.replace("/usr/local/bin/puller", str(program)))
    ended = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, files)], capture_output=True, text=True, timeout=60
    )
    ours = [line for line in (ended.stdout + ended.stderr).splitlines() if "puller-" in line]
    assert (ended.returncode, ours) == (0, [])


def test_every_unit_is_hardened_alike() -> None:
    services = {name: text for name, text in UNITS.items() if name.endswith(".service")}
    assert len(services) == 2
    for text in services.values():
        lines = text.splitlines()
        for line in ("DynamicUser=yes", "StateDirectory=puller", "NoNewPrivileges=yes", "ProtectSystem=strict"):
            assert line in lines
