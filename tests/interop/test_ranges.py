"""One large layer over several connections, by the command line and a server of its own process."""

import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from bench.measure import measured
from bench.paced import NAME, paced
from tests.interop.puller import ROOT, Puller
from tests.interop.relay import Relay, relay

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SIZE = 1_200 << 20
RATE = 60e6  # bytes a second for each connection
PLAIN = ("--no-unpack", "--digest-only")


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Look every few milliseconds: another process is waited for, so no clock can be faked."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def layer_of(report: dict[str, Any]) -> dict[str, Any]:
    """What the report says of the one layer."""
    (layer,) = [blob for blob in report["blobs"] if blob["role"].startswith("layer")]
    return dict(layer)


def held(puller: Puller) -> int:
    """Bytes of unfinished blobs on the disk."""
    return sum(path.stat().st_size for path in (puller.store / "ingest").glob("*/data"))


def stopped_at(puller: Puller, wire: Relay, part: float, sign: signal.Signals) -> tuple[int, float]:
    """Pull until so much of the layer has come, send a signal: bytes delivered by then, and seconds until the end."""
    reference = f"{wire.host}/{NAME}"
    with puller.start(*puller.pull_words(reference, *PLAIN)) as process:
        wait_until(lambda: wire.delivered >= part * SIZE)
        process.send_signal(sign)
        sent = time.monotonic()
        process.communicate()
    return wire.delivered, time.monotonic() - sent


def test_r6_a_kill_keeps_all_but_a_window_of_what_came_over_several_connections(puller: Puller) -> None:
    with paced(SIZE, RATE) as server, relay(server.host) as wire:
        delivered, _ = stopped_at(puller, wire, 0.8, signal.SIGKILL)
        kept = held(puller)
        assert kept >= 0.95 * delivered
        report = puller.pull(f"{wire.host}/{NAME}", *PLAIN)
    layer = layer_of(report)
    assert layer["outcome"] == "resumed"
    assert layer["resumed"] >= 0.95 * delivered
    assert layer["origin"]["connections"] > 1
    assert layer["digest"] in puller.blobs()


def test_r7_an_interrupt_ends_all_connections_within_a_second_and_keeps_what_was_hashed(puller: Puller) -> None:
    with paced(SIZE, RATE) as server, relay(server.host) as wire:
        delivered, seconds = stopped_at(puller, wire, 0.5, signal.SIGINT)
    assert seconds < 1
    assert held(puller) >= 0.9 * delivered


def test_several_connections_bring_a_layer_faster_than_each_alone_could(puller: Puller) -> None:
    size = 600 << 20
    with paced(size, RATE) as server:
        began = time.monotonic()
        report = puller.pull(server.name, *PLAIN)
        seconds = time.monotonic() - began
    assert size / seconds > 1.5 * RATE
    origin = layer_of(report)["origin"]
    assert (origin["host"], origin["attempts"], origin["resumed_at"]) == (server.host, 1, [])


def test_r10_every_check_on_pieces_stays_within_the_memory_promised(puller: Puller) -> None:
    with paced(600 << 20, RATE) as server:
        words = puller.pull_words(server.name)
        usage = measured(puller.command(*words), env=puller.environment(), cwd=ROOT)
    assert layer_of(puller.report())["origin"]["connections"] > 1
    assert usage.peak <= 100e6
