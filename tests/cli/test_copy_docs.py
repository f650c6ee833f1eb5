"""docs/copy.md says what is true: its commands do what stands beside them, in their order."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from testregistry import TestRegistry, images
from tests.cli.conftest import Puller
from tests.cli.picture import FOREIGN, IMAGE
from tests.cli.serving import serving
from tests.conftest import ROOT
from tests.store.plainly import listed

pytestmark = pytest.mark.slow  # a dozen copies

PAGE = (ROOT / "docs" / "copy.md").read_text("utf-8")
AMD64 = images.image(*IMAGE.layers, platform=("linux", "amd64"))
BOTH = images.index(AMD64, FOREIGN)


def commands() -> list[str]:
    """The lines of its consoles."""
    blocks = re.findall(r"^```console\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return [line[2:] for block in blocks for line in block.splitlines()]


@pytest.fixture
def mirror() -> Iterator[TestRegistry]:
    """The registry `mirror.example`."""
    with serving() as registry:
        yield registry


def test_the_commands_of_the_page_work_as_they_are_written(
    puller: Puller, registry: TestRegistry, mirror: TestRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    registry.add("team/app:1.0", BOTH)
    registry.add("team/app:1.1", AMD64)
    hosts = {"registry.example": registry.name("")[:-1], "mirror.example": mirror.name("")[:-1]}
    lines = commands()
    assert len(lines) >= 7
    for line in lines:
        program, *words = shlex.split(line, comments=True)
        assert program == "puller"
        for name, host in hosts.items():
            words = [word.replace(name, host) for word in words]
        end = puller(*words)
        assert end.code == 0, (line, end.err)
    assert listed(tmp_path / "images") == {"stable": BOTH.digest, "1.0": BOTH.digest, "1.1": AMD64.digest}
    assert {path.name for path in tmp_path.iterdir()} >= {"stable.tar", "app.tar"}
    for tag in ("1.0", "stable"):
        found = mirror.storage.manifest("team/app", tag)
        assert found is not None
        assert found[0].digest == BOTH.digest


@pytest.mark.parametrize("option", sorted(set(re.findall(r"--[a-z-]+", PAGE))))
def test_its_options_are_options_of_copy(puller: Puller, option: str) -> None:
    assert option in puller("copy", "--help").out


def test_its_report_has_the_keys_of_a_report(puller: Puller, registry: TestRegistry, tmp_path: Path) -> None:
    (shown,) = re.findall(r"^```json\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    registry.add("app:1", IMAGE)
    report = tmp_path / "report.json"
    assert puller("copy", registry.name("app:1"), f"oci:{tmp_path}/images", "--report", str(report)).code == 0
    (real,) = json.loads(report.read_text())["copies"]
    told = json.loads(shown)
    assert told.keys() == real.keys()
    assert told["carried"].keys() == real["carried"].keys()
