"""Processes that die and processes that meet: what is fetched twice, on real images and a real registry."""

import time
from collections import Counter
from collections.abc import Callable, Mapping

import pytest

from bench.layout import Image
from bench.push import repository
from bench.registry import Registry
from tests.interop.conftest import SET
from tests.interop.puller import Puller
from tests.interop.relay import relay

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

# Slow enough to be stopped in the middle, fast enough to wait for.
RATE = 60e6


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Look every few milliseconds: other processes are waited for, so no clock can be faked."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_r6_after_a_kill_at_sixty_percent_at_most_five_percent_are_fetched_twice(
    registry: Registry, puller: Puller, images: Mapping[str, Image]
) -> None:
    image = images["medium"]
    with relay(registry.host, rate=RATE) as wire:
        reference = f"{wire.host}/{repository(SET, 'medium')}:1"
        with puller.start(*puller.pull_words(reference), "--no-unpack") as process:
            wait_until(lambda: wire.delivered >= 0.6 * image.size)
            process.kill()
        assert process.returncode == -9
        assert puller.names() == {}
        report = puller.pull(reference, "--no-unpack")
        delivered = wire.delivered
    assert delivered - image.size <= 0.05 * image.size
    assert puller.names() == {reference: image.digest}
    assert {layer.digest for layer in image.layers} <= puller.blobs()
    assert report["totals"]["resumed"] + report["totals"]["reused"] >= 0.55 * image.size


def test_r5_eight_processes_pulling_one_image_fetch_each_blob_once(
    registry: Registry, puller: Puller, images: Mapping[str, Image]
) -> None:
    image = images["many"]
    reference = registry.name(repository(SET, "many"))
    together = [puller.start(*_without_report(puller.pull_words(reference))) for _ in range(8)]
    errors = [process.communicate()[1] for process in together]
    assert [process.returncode for process in together] == [0] * 8, errors
    blobs = puller.blobs()
    assert {layer.digest for layer in image.layers} <= blobs
    assert puller.names() == {reference: image.digest}
    # The config and the layers, each read from its first byte to its last by one of the eight.
    expected = Counter(blobs - {image.digest})
    wait_until(lambda: sum(_reads(registry).values()) >= sum(expected.values()))
    assert _reads(registry) == expected


def _reads(registry: Registry) -> Counter[str]:
    reads = (r.path for r in registry.requests() if r.method == "GET" and "/blobs/" in r.path)
    return Counter(path.rpartition("/")[2] for path in reads)


def _without_report(words: list[str]) -> list[str]:
    # Eight writers of one report file would prove nothing.
    position = words.index("--report")
    return words[:position] + words[position + 2 :]
