"""Peak memory of whole pulls, measured by the system."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from bench.huge import pull_huge
from bench.layout import Image
from bench.measure import measured
from bench.push import repository
from bench.registry import Registry
from tests.interop.conftest import SET
from tests.interop.puller import ROOT, Puller

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

# The promise to users, whatever the size of an image.
LIMIT = 100e6


def test_r10_a_real_image_is_pulled_and_proved_within_the_memory_promised(
    registry: Registry, puller: Puller, images: Mapping[str, Image]
) -> None:
    words = puller.pull_words(registry.name(repository(SET, "medium")))
    usage = measured(puller.command(*words), env=puller.environment(), cwd=ROOT)
    assert puller.names() == {registry.name(repository(SET, "medium")): images["medium"].digest}
    assert usage.peak <= LIMIT


async def test_r10_one_layer_of_half_a_gigabyte_is_proved_within_the_memory_promised(
    puller: Puller, tmp_path: Path
) -> None:
    # `make bench` takes 4 GB; five times the limit shows as well that nothing grows with a layer.
    usage = await pull_huge(tmp_path, puller.environment(), size=512 << 20)
    assert usage.peak <= LIMIT
