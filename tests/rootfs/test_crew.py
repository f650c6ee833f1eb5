"""The crew as an Unpacker: what its jobs give, what goes wrong with them, and when they are given up."""

import gzip
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count, pairwise
from pathlib import Path

import pytest

from puller.errors import (
    DiffIDMismatch,
    InvalidCompression,
    LayerError,
    LimitExceeded,
    NoSpace,
    PullerError,
    StoreBusy,
    StoreError,
    StoreUnusable,
    UnsafePath,
)
from puller.model.digest import Digest
from puller.rootfs.crew import Crew, InProcess
from puller.rootfs.gathering import NeedsLower
from puller.rootfs.idmap import IdMap
from puller.rootfs.job import Outcome, Unpacker
from puller.rootfs.limits import Limits
from puller.rootfs.manner import Manner
from puller.rootfs.sidecar import read_sidecar
from tests.rootfs.jobs import endless_job, job, quiet, strike, unpacked, workers
from tests.rootfs.layering import SMALL, census, device, file, folder, hardlink, layer, symlink, words

pytestmark = pytest.mark.slow  # many small tests: for `make test`

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MANNER = Manner(limits=SMALL)
HONEST = layer(
    folder("d", 0o750), file("d/f", "text", mode=0o4755), hardlink("g", "d/f"), symlink("l", "d"), file("e/.wh.x")
)


class Enough(Exception):
    """What a listener raises that has heard enough."""


@pytest.fixture(scope="module")
def crew() -> Iterator[Crew]:
    with Crew(MANNER) as found:
        yield found


@pytest.fixture
def alone() -> Iterator[Crew]:
    """A crew that no other test uses."""
    with Crew(MANNER) as found:
        yield found


def facts(base: Path) -> dict[str, tuple[object, ...]]:
    """All but what no two unpackings share: inodes, and the time of the last change."""
    return {name: (*found[:1], *found[2:-1]) for name, found in census(base).items() if name != "."}


def tree(
    unpacker: Unpacker, base: Path, content: bytes, **more: object
) -> tuple[dict[str, tuple[object, ...]], Outcome]:
    base.mkdir()
    outcome = unpacked(unpacker, base, content, **more)
    return facts(base), outcome


@pytest.mark.parametrize("is_alone", [False, True], ids=["onto_lower_layers", "alone"])
def test_a_crew_makes_what_the_engine_makes_in_this_process(crew: Crew, scratch: Path, is_alone: bool) -> None:
    ours = tree(InProcess(MANNER), scratch / "ours", HONEST, alone=is_alone)
    theirs = tree(crew, scratch / "theirs", HONEST, alone=is_alone)
    assert theirs == ours
    assert theirs[1].missing == ()


@pytest.mark.parametrize("form", ["none", "gzip", "zstd"])
def test_d7_each_form_of_compression_is_known_to_the_child(crew: Crew, form: str, scratch: Path) -> None:
    forms: dict[str, Callable[[bytes], bytes]] = {"none": bytes, "gzip": gzip.compress, "zstd": zstd.compress}
    unpacked(crew, scratch, forms[form](HONEST), compression=form)
    assert words(scratch)["d/f"] == "'text'"


def test_whiteouts_are_listed_of_a_layer_alone_and_obeyed_on_a_whole_tree(crew: Crew, scratch: Path) -> None:
    (scratch / "alone").mkdir()
    assert unpacked(crew, scratch / "alone", layer(file("e/.wh.x")), alone=True).applied.hidden == (b"e/x",)
    (scratch / "whole").mkdir()
    unpacked(crew, scratch / "whole", layer(folder("e"), file("e/x", "1")))
    unpacked(crew, scratch / "whole", layer(file("e/.wh.x")))
    assert words(scratch / "whole") == {"e": "dir"}


def test_names_that_are_no_text_come_through(crew: Crew, scratch: Path) -> None:
    outcome = unpacked(crew, scratch, layer(file(b"\xff\xe9/.wh.\xf0x"), file(b"n\nl/.wh.x")), alone=True)
    assert outcome.applied.hidden == (b"n\nl/x", b"\xff\xe9/\xf0x")


def test_the_manner_is_the_crew_s(scratch: Path) -> None:
    manner = Manner(uids=IdMap(((0, 1000, 10),)), gids=IdMap(((0, 2000, 10),)), keep_setuid=False, limits=SMALL)
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    with Crew(manner) as found:
        unpacked(found, scratch, layer(file("f", uid=3, gid=4, mode=0o4755)))
    state = (scratch / "f").stat()
    assert (state.st_uid, state.st_gid, state.st_mode & 0o7777) == (1003, 2004, 0o755)


def test_what_is_altered_is_in_the_sidecar_and_summed_up(crew: Crew, scratch: Path) -> None:
    with job(scratch, layer(device("null", 1, 3), device("zero", 1, 5))) as found:
        outcome = crew.unpack(found, quiet)
        kept = list(read_sidecar(found.sidecar))
    assert [(one.path, one.what, one.value) for one in kept] == [
        (b"null", "device", "c 1:3"),
        (b"zero", "device", "c 1:5"),
    ]
    assert [(one.what, one.count, one.examples) for one in outcome.altered] == [("device", 2, ("null", "zero"))]


@pytest.mark.parametrize("in_process", [False, True])
def test_d4_the_diff_id_covers_what_trails_the_archive(crew: Crew, in_process: bool, scratch: Path) -> None:
    content = HONEST + b"what no parser reads"
    unpacker = InProcess(MANNER) if in_process else crew
    outcome = unpacked(unpacker, scratch, gzip.compress(content), diff_id=Digest.of(content))
    assert (outcome.diff_id, outcome.unpacked_size) == (Digest.of(content), len(content))
    (scratch / "again").mkdir()
    with pytest.raises(DiffIDMismatch) as caught:
        unpacked(unpacker, scratch / "again", gzip.compress(content), diff_id=Digest.of(HONEST))
    assert (str(caught.value.wanted), str(caught.value.got)) == (str(Digest.of(HONEST)), str(Digest.of(content)))


def test_a_diff_id_of_another_algorithm_is_checked_as_well(crew: Crew, scratch: Path) -> None:
    assert unpacked(crew, scratch, HONEST, diff_id=Digest.of(HONEST, "sha512")).diff_id.algorithm == "sha512"


BAD: tuple[tuple[bytes, type[PullerError], dict[str, object]], ...] = (
    (layer(file("../f")), UnsafePath, {}),
    (layer(hardlink("a", "b")), NeedsLower, {"alone": True}),
    (HONEST, InvalidCompression, {"compression": "gzip"}),
    (layer(file("f"))[:700] + b"junk" * 200, LayerError, {}),
)


@pytest.mark.parametrize(("content", "kind", "more"), BAD, ids=lambda value: getattr(value, "__name__", None))
def test_an_error_is_the_same_as_without_a_crew(
    crew: Crew, scratch: Path, content: bytes, kind: type[PullerError], more: dict[str, object]
) -> None:
    caught: list[PullerError] = []
    for name, unpacker in (("ours", InProcess(MANNER)), ("theirs", crew)):
        (scratch / name).mkdir()
        with pytest.raises(kind) as error:
            unpacked(unpacker, scratch / name, content, **more)
        caught.append(error.value)
    ours, theirs = caught
    assert (type(theirs), theirs.facts()) == (type(ours), ours.facts())


def test_d6_limits_hold_in_the_crew(scratch: Path) -> None:
    with Crew(Manner(limits=Limits(reserve=0, entries=2))) as found, pytest.raises(LimitExceeded, match="entries"):
        unpacked(found, scratch, layer(file("a"), file("b"), file("c")))


def test_d6_a_bomb_is_stopped_by_its_unpacked_size(scratch: Path) -> None:
    bomb = gzip.compress(bytes(64 << 20))
    with Crew(Manner(limits=SMALL, max_unpacked=1 << 20)) as found, pytest.raises(LimitExceeded, match="unpacked"):
        unpacked(found, scratch, bomb)


def test_l1_a_full_disk_is_an_error_of_the_disk(crew: Crew, scratch: Path) -> None:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", scratch], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no disk of a chosen size can be mounted here")
    try:
        with pytest.raises(NoSpace) as caught:
            unpacked(crew, scratch, layer(*(file(f"f{number}", "x") for number in range(100))))
    finally:
        subprocess.run(["umount", scratch], check=True)
    assert caught.value.got == "ENOSPC"


def test_a_crew_goes_on_after_an_error(alone: Crew, scratch: Path) -> None:
    with pytest.raises(UnsafePath):
        unpacked(alone, scratch, layer(file("../f")))
    unpacked(alone, scratch, layer(file("f", "1")))
    assert words(scratch) == {"f": "'1'"}


@pytest.mark.parametrize("in_process", [False, True])
def test_a_root_that_is_no_directory_is_an_error(crew: Crew, in_process: bool, scratch: Path) -> None:
    unpacker = InProcess(MANNER) if in_process else crew
    with job(scratch, HONEST) as found, (scratch / "file").open("wb") as other:
        with pytest.raises(PullerError):
            unpacker.unpack(replace(found, root=other.fileno()), quiet)


def test_many_threads_have_many_layers_unpacked_at_once(alone: Crew, scratch: Path) -> None:
    def one(number: int) -> dict[str, str]:
        base = scratch / str(number)
        base.mkdir()
        unpacked(alone, base, layer(file("f", str(number))))
        return words(base)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, range(32))) == [{"f": f"'{number}'"} for number in range(32)]


def test_r10_progress_goes_up_and_comes_five_times_a_second(alone: Crew, scratch: Path) -> None:
    heard: list[tuple[float, int]] = []

    def listen(read: int) -> None:
        heard.append((time.monotonic(), read))
        if len(heard) > 12:
            raise Enough

    with endless_job(scratch) as found, pytest.raises(Enough):
        alone.unpack(found, listen)
    sizes = [read for _, read in heard]
    assert sizes == sorted(sizes)
    assert sizes[-1] > sizes[0]
    gaps = sorted(later[0] - sooner[0] for sooner, later in pairwise(heard))
    assert gaps[len(gaps) // 2] <= 0.2


def test_somebody_is_told_also_while_nothing_moves_and_can_end_it(alone: Crew, scratch: Path) -> None:
    calls = count()

    def listen(read: int) -> None:
        number = next(calls)
        if number == 1:
            strike(signal.SIGSTOP)
        if number == 6:
            raise Enough

    with endless_job(scratch) as found, pytest.raises(Enough):
        alone.unpack(found, listen)


@pytest.mark.parametrize("raised", [Enough, KeyboardInterrupt])
def test_when_unpack_raises_its_process_is_gone(alone: Crew, scratch: Path, raised: type[BaseException]) -> None:
    seen: list[int] = []

    def listen(read: int) -> None:
        seen.extend(workers())
        if seen:
            raise raised

    with endless_job(scratch) as found, pytest.raises(raised):
        alone.unpack(found, listen)
    assert len(seen) == 1
    assert workers() == []


def test_a_layer_that_takes_too_long_is_given_up(scratch: Path) -> None:
    clock = count(0, 100)
    with Crew(Manner(seconds=500), clock=lambda: float(next(clock))) as found, endless_job(scratch) as endless:
        with pytest.raises(LimitExceeded, match="too long"):
            found.unpack(endless, quiet)


def test_a_layer_that_takes_too_long_is_given_up_in_this_process_too(scratch: Path) -> None:
    clock = count(0, 100)
    unpacker = InProcess(Manner(seconds=500), clock=lambda: float(next(clock)))
    with endless_job(scratch) as endless, pytest.raises(LimitExceeded, match="too long"):
        unpacker.unpack(endless, quiet)


@pytest.mark.slow
def test_a_layer_that_takes_too_much_of_the_processor_is_given_up(scratch: Path) -> None:
    with Crew(Manner(seconds=0.5), clock=lambda: 0.0) as found, endless_job(scratch) as endless:
        with pytest.raises(LimitExceeded, match="too long"):
            found.unpack(endless, quiet)


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (signal.SIGKILL, StoreBusy),
        (signal.SIGTERM, StoreBusy),
        (signal.SIGSEGV, LayerError),
        (signal.SIGBUS, LayerError),
    ],
)
def test_a_process_that_dies_is_an_error_with_the_signal(
    alone: Crew, scratch: Path, number: signal.Signals, kind: type[PullerError]
) -> None:
    with endless_job(scratch) as found, pytest.raises(kind) as caught:
        alone.unpack(found, lambda _: strike(number))
    assert caught.value.got == number.name
    unpacked(alone, scratch, layer(file("f", "1")))
    assert words(scratch) == {"f": "'1'"}


def test_a_crew_that_is_closed_at_work_says_so_and_takes_no_more(scratch: Path) -> None:
    with Crew(MANNER) as found, endless_job(scratch) as endless:
        with pytest.raises(StoreUnusable, match="is gone"):
            found.unpack(endless, lambda _: found.close())
        with pytest.raises(ValueError, match="closed"):
            found.unpack(endless, quiet)
    assert workers() == []


def test_an_interpreter_that_is_not_there_is_an_error_of_this_machine(scratch: Path) -> None:
    with Crew(MANNER, python=str(scratch / "python")) as found, pytest.raises(StoreError, match="cannot be started"):
        unpacked(found, scratch, HONEST)


def test_a_child_that_does_not_start_is_an_error_with_its_last_words(scratch: Path) -> None:
    python = scratch / "python"
    python.write_text("#!/bin/sh\necho no such luck >&2\nexit 7\n")
    python.chmod(0o755)
    with Crew(MANNER, python=str(python)) as found, pytest.raises(StoreUnusable) as caught:
        unpacked(found, scratch, HONEST)
    assert caught.value.got == "no such luck"
