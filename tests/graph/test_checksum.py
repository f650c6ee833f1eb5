"""What is computed of a layer when somebody first asks."""

import hashlib
from pathlib import Path

from puller.graph.checksum import layer_digest
from tests.graph.images import graph_at, named, register
from tests.graph.recorded import golden


def test_a_digest_is_computed_once_and_then_kept(tmp_path: Path) -> None:
    graph = graph_at(tmp_path / "docker")
    register(graph, "a", content=golden("graph/layer0.tar.gz"))
    heard: list[int] = []
    wanted = f"sha256:{hashlib.sha256(golden('graph/layer0.tar')).hexdigest()}"
    assert layer_digest(graph, named("a"), heard.append) == wanted
    assert heard[-1] == len(golden("graph/layer0.tar"))
    assert graph.get(named("a")).checksum == wanted
    assert layer_digest(graph, named("a"), heard.append) == wanted
    assert len(heard) == 1


def test_a_checksum_that_is_there_is_taken_as_it_is(tmp_path: Path) -> None:
    graph = graph_at(tmp_path / "docker")
    register(graph, "a")
    graph.set_checksum(named("a"), "sha256:ab")
    assert layer_digest(graph, named("a")) == "sha256:ab"
