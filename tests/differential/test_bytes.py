"""Any bytes give an answer or a PullerError, the same for any chunking, in little memory and time (THREATS E9, E14)."""

import random
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.differential import ours
from tests.differential.generator import archive
from tests.stream.archive import BLOCK, header
from tests.stream.pieces import random_cuts, single_bytes, whole

MOST_MEMORY = 16 << 20


@given(st.binary(max_size=3 * BLOCK))
def test_any_bytes_give_only_a_typed_error(data: bytes) -> None:
    ours.read(data)


@given(st.lists(st.tuples(st.integers(0, BLOCK - 1), st.integers(0, 255)), max_size=8), st.binary(max_size=2 * BLOCK))
def test_any_header_with_a_right_checksum_gives_only_a_typed_error(changes: list[tuple[int, int]], rest: bytes) -> None:
    block = bytearray(header(size=len(rest)))
    for at, byte in changes:
        block[at] = byte
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    ours.read(bytes(block) + rest)


@pytest.mark.parametrize("first", range(0, 400, 100))
def test_generated_archives_give_the_same_answer_in_any_chunks(first: int) -> None:
    for seed in range(first, first + 100):
        data = archive(seed)
        answer = ours.read(data, cut=whole)
        assert ours.read(data, cut=random_cuts) == answer, f"seed {seed}"
        if seed % 10 == 0:
            assert ours.read(data, cut=single_bytes) == answer, f"seed {seed}"


@pytest.mark.slow
def test_mutated_archives_take_little_memory_and_time() -> None:
    chance = random.Random(5)
    started = time.process_time()
    tracemalloc.start()
    try:
        for seed in range(2000):
            data = bytearray(archive(seed))
            for _ in range(chance.choice((0, 1, 10, 100))):
                if data:
                    data[chance.randrange(len(data))] = chance.randrange(256)
            ours.read(bytes(data), sparse=False)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MOST_MEMORY
    assert time.process_time() - started < 60  # thirty milliseconds each, tracing included: a loop would take for ever
