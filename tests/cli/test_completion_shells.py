"""Completion in a real zsh and a real fish, which somebody types into: what stands in the line when it is entered."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.test_completion import ALPINE, APP
from tests.cli.typist import Typist, typing_into

pytestmark = pytest.mark.slow


@pytest.fixture(params=["zsh", "fish"])
def typist(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Typist]:
    with typing_into(request.param, tmp_path, ALPINE, APP) as typist:
        yield typist


def entered(typist: Typist, keys: str) -> str:
    """The same without the slash at the end of a directory, which zsh takes away."""
    return typist.entered(keys).replace("/>", ">")


def test_words_and_options_are_completed(typist: Typist) -> None:
    assert entered(typist, "puller id-\t") == "<id-chain>"
    assert entered(typist, "puller rm alp\t") == "<rm><alpine:3.20>"
    assert entered(typist, "puller rm alpine:3\t") == "<rm><alpine:3.20>"
    assert entered(typist, "puller pull --driver=v\t") == "<pull><--driver=vfs>"
    assert entered(typist, "puller copy store:al\t") == "<copy><store:alpine:3.20>"


def test_paths_are_completed_behind_the_word_for_their_kind_and_behind_options(typist: Typist) -> None:
    assert entered(typist, "puller copy oci:fol\t") == "<copy><oci:folder>"
    assert entered(typist, "puller copy oci:folder/in\t") == "<copy><oci:folder/inner>"
    assert entered(typist, "puller copy a oci-archive:arch\t") == "<copy><a><oci-archive:archive.tar>"
    assert entered(typist, "puller copy a docker-archive:arch\t") == "<copy><a><docker-archive:archive.tar>"
    assert entered(typist, "puller pull --store=fol\t") == "<pull><--store=folder>"
    assert entered(typist, "puller pull --store fol\t") == "<pull><--store><folder>"
    assert entered(typist, "puller load arch\t") == "<load><archive.tar>"
