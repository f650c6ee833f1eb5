"""The parts of the figures about large layers, on small ones."""

import os
from pathlib import Path

import pytest

from bench.contest import ROOT
from bench.ground import environment
from bench.measure import measured
from bench.paced import paced
from bench.ranges import _ranges, _stream, kill_at

pytestmark = pytest.mark.slow


def test_a_registry_of_its_own_process_tells_what_it_has_sent(tmp_path: Path) -> None:
    with paced(1 << 20) as server:
        assert server.sent() == 0
        for contestant in (_stream(server, "FULL"), _ranges(server, "DIGEST_ONLY")):
            measured(contestant.command(tmp_path / contestant.name), env=os.environ, cwd=ROOT)
        assert server.sent() == 2 * ((1 << 20) + 1536)


def test_a_kill_leaves_what_was_hashed(tmp_path: Path) -> None:
    kill = kill_at(tmp_path, environment(os.environ, tmp_path), 200 << 20, part=0.5, rate=100e6)
    assert 100 << 20 <= kill.kept <= kill.sent < 200 << 20
