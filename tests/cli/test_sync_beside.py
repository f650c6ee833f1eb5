"""What is brought to a registry that this machine knows as a mirror of its source."""

import json
from pathlib import Path

from testregistry import images
from tests.cli.conftest import Puller
from tests.cli.machine import Machine
from tests.cli.mirrored import mirrored
from tests.cli.picture import IMAGE, PLATFORM

OTHER = images.image(images.layer({"srv/other": b"other"}), platform=PLATFORM)


def test_a_target_that_mirrors_its_source_is_not_asked_what_it_is_to_have(puller: Puller, tmp_path: Path) -> None:
    with mirrored(puller, tmp_path, "registry") as kept:
        Machine(tmp_path, puller).mirrored(kept.up.name("app"), kept.down.name("copy/app"))
        kept.up.add("app:1", IMAGE)
        kept.write("app", tags=["1"])
        assert kept.sync().code == 0
        kept.up.add("app:1", OTHER)

        lock = tmp_path / "mirrors.lock"
        assert puller("lock", str(kept.file), "-o", str(lock)).code == 0
        assert [one["digest"] for one in json.loads(lock.read_text())["images"].values()] == [OTHER.digest]
        assert kept.sync().code == 0
        assert kept.there("app") == {"1": OTHER.digest}


def test_a_copy_is_of_what_the_source_has_and_not_of_what_was_copied_before(puller: Puller, tmp_path: Path) -> None:
    with mirrored(puller, tmp_path, "registry") as kept:
        Machine(tmp_path, puller).mirrored(kept.up.name("app"), kept.down.name("app"))
        for image in (IMAGE, OTHER):
            kept.up.add("app:1", image)
            assert puller("copy", kept.up.name("app:1"), kept.down.name("app")).code == 0
        assert kept.down.storage.manifest("app", "1")[0].digest == OTHER.digest  # type: ignore[index]  # None fails the test
