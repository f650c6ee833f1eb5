"""Figures of the old world: the manifest that is timed is one, and both programs read the same files."""

import os
from pathlib import Path

import pytest

from bench.idchain import LAYERS, Times, manifest, measure, timed
from bench.legacy import VERSIONS, contestants
from puller.legacy.idchain import id_chain
from puller.legacy.imageid import is_fallback
from puller.legacy.schema1 import parse_signed_manifest


@pytest.mark.parametrize(("version", "is_old"), list(zip(VERSIONS, (False, True), strict=True)))
def test_the_manifest_is_signed_and_makes_a_whole_chain(version: str, is_old: bool) -> None:
    found = parse_signed_manifest(manifest(version), require_signature=True)
    chain = id_chain(found.layers())
    assert len({candidate.strong_id for candidate in chain}) == LAYERS
    assert {is_fallback(candidate.layer.image) for candidate in chain} == {is_old}


def test_the_first_time_is_not_among_the_others() -> None:
    work = iter([200_000, 1, 1, 1])
    found = measure(lambda: sum(range(next(work))), 7, runs=3)
    assert found.first > found.median >= found.best > 0
    assert found.size == 7


@pytest.mark.slow
def test_a_process_of_its_own_tells_its_times() -> None:
    found = timed("1.9.0", os.environ)
    assert isinstance(found, Times)
    assert 0 < found.best <= found.median
    assert found.size > 100_000


def test_both_programs_read_every_file() -> None:
    files = [Path("/a.tar"), Path("/b.tar")]
    for contestant in contestants(files):
        assert contestant.command(Path("/store"))[-2:] == ["/a.tar", "/b.tar"]
