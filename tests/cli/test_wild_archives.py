"""Archives of other projects' tests, made by real versions of docker save."""

import pytest

from tests.cli.conftest import Puller
from tests.conftest import shared_dir

pytestmark = pytest.mark.slow


def test_an_archive_of_docker_1_10_is_loaded_under_the_digest_of_its_config(puller: Puller) -> None:
    end = puller("load", str(shared_dir() / "fixtures/containers-image/docker/archive/fixtures/almostempty.tar"))
    assert end.code == 0, end.err
    image_id = "9d7f147c0d0c4d4538a04c7ef385809e56eb1aac7bf800fbe976612188025b68"
    assert f"docker.io/library/emptyimage:latest sha256:{image_id}" in end.out
    assert image_id[:12] in puller("images").out
    assert puller("verify", "--all").code == 0


def test_an_old_archive_with_a_layer_of_no_bytes_ends_as_it_did_and_leaves_nothing(puller: Puller) -> None:
    end = puller("load", str(shared_dir() / "fixtures/moby-head/integration-cli/testdata/emptyLayer.tar"))
    assert end.code == 3
    assert "EOF" in end.err
    assert "layer.tar" in end.err
    assert len(puller("images").out.splitlines()) == 1  # the head of the table
    assert puller("graph", "check").code == 0
