"""Completion in a real bash, which somebody types into: what stands in the line when it is entered."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.test_completion import ALPINE, APP, DEBIAN, IMAGE
from tests.cli.typist import Typist, typing_into

pytestmark = pytest.mark.slow


@pytest.fixture
def typist(tmp_path: Path) -> Iterator[Typist]:
    names = (ALPINE, DEBIAN, APP, f"docker.io/library/alpine@{IMAGE.digest}")
    with typing_into("bash", tmp_path, *names) as typist:
        yield typist


def test_words_are_completed_in_place_over_colons_at_signs_and_quotes(typist: Typist) -> None:
    assert typist.entered("puller id-\t") == "<id-chain>"
    assert typist.entered("puller rm deb\t") == "<rm><debian:12>"
    assert typist.entered("puller rm alpine:\t") == "<rm><alpine:3.20>"
    assert typist.entered("puller rm alpine:3\t") == "<rm><alpine:3.20>"
    assert typist.entered("puller rm 127.0.0.1:5000/t\t") == f"<rm><{APP}>"
    assert typist.entered("puller rm alpine@s\t") == f"<rm><alpine@{IMAGE.digest}>"
    assert typist.entered("puller rm alpine@sha256:\t") == f"<rm><alpine@{IMAGE.digest}>"
    assert typist.entered("puller rm 'alpine:3\t") == "<rm><alpine:3.20>"
    assert typist.entered("puller deb\t") == "<debian:12>"
    assert typist.entered("puller debian:12 127\t") == f"<debian:12><{APP}>"


def test_options_their_values_files_and_directories_are_completed(typist: Typist) -> None:
    assert typist.entered("puller pull --no-tar\t") == "<pull><--no-tarsum>"
    assert typist.entered("puller pull --driver=v\t") == "<pull><--driver=vfs>"
    assert typist.entered("puller load arch\t") == "<load><archive.tar>"
    assert typist.entered("puller changes alpine:\t fold\t") == "<changes><alpine:3.20><folder/>"
    assert typist.entered("puller pull --store fo\t") == "<pull><--store><folder/>"
    assert typist.entered("puller copy oci:fo\t") == "<copy><oci:folder/>"
    assert typist.entered("puller copy oci-archive:arch\t") == "<copy><oci-archive:archive.tar>"


def test_what_stands_behind_the_cursor_is_left_alone(typist: Typist) -> None:
    back = "\x02" * len(" --quiet")
    assert typist.entered(f"puller pull deb --quiet{back}\t") == "<pull><debian:12><--quiet>"


def test_the_command_before_a_pipe_does_not_matter(typist: Typist) -> None:
    assert typist.entered("true && A=1 puller rm deb\t") == "<rm><debian:12>"
