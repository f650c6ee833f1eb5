"""Whatever we accept, others read the same (THREATS E7): generated archives, a sample here, more in `make torture`."""

import random
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.differential import ours
from tests.differential.compare import difference
from tests.differential.fuzzing import fuzzed
from tests.differential.generator import archive
from tests.differential.known import KNOWN, Known, unexplained
from tests.differential.oracles import ORACLES, Oracle
from tests.differential.samples import samples

BATCH = 1000
SAMPLE = 4 * BATCH
SECONDS = 240.0


@pytest.fixture(scope="module")
def oracles() -> Sequence[Oracle]:
    """The readers that are here; all of them, or the test says which are not."""
    reasons = [reason for oracle in ORACLES if (reason := oracle.missing())]
    if reasons:
        pytest.skip("; ".join(reasons))
    return ORACLES


@pytest.mark.slow
def test_e7_whatever_we_accept_others_read_the_same(oracles: Sequence[Oracle], tmp_path: Path) -> None:
    packed = samples(tmp_path)
    accepted = 0
    for first in range(0, SAMPLE, BATCH):
        outcome = fuzzed(range(first, first + BATCH), packed, oracles, tmp_path)
        assert outcome.disagreements == []
        accepted += outcome.accepted
    assert accepted > SAMPLE // 5, "nearly everything was refused: too little was compared"


@pytest.mark.torture
@pytest.mark.timeout(int(SECONDS) + 120)
def test_e7_whatever_we_accept_others_read_the_same_for_minutes(oracles: Sequence[Oracle], tmp_path: Path) -> None:
    packed = samples(tmp_path)
    first = random.SystemRandom().randrange(1 << 40)
    print(f"seeds from {first}")
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        outcome = fuzzed(range(first, first + BATCH), packed, oracles, tmp_path)
        assert outcome.disagreements == []
        first += BATCH


@pytest.mark.slow
@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.name)
def test_e7_every_difference_on_the_list_is_there(known: Known, oracles: Sequence[Oracle], tmp_path: Path) -> None:
    path = tmp_path / "known.tar"
    path.write_bytes(known.fixture)
    mine = ours.read(known.fixture)
    assert not mine.refusal
    for oracle in oracles:
        (theirs,) = oracle.read([path])
        found = difference(mine, theirs)
        if oracle.name in known.oracles:
            assert found is not None, f"{oracle.name} agrees by now"
            assert not unexplained(oracle.name, known.fixture, mine, theirs, found)


@pytest.mark.slow
def test_no_bytes_at_all_are_an_empty_archive_and_none_to_others(oracles: Sequence[Oracle], tmp_path: Path) -> None:
    path = tmp_path / "empty.tar"
    path.touch()
    assert not ours.read(b"").refusal
    assert all(oracle.read([path])[0].refusal for oracle in oracles)


def test_the_generator_says_the_same_for_the_same_seed() -> None:
    assert [archive(seed) for seed in range(50)] == [archive(seed) for seed in range(50)]
    assert len({archive(seed) for seed in range(50)}) > 40
