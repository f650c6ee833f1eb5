"""A plan leaves everything as it is, also what it would bring to."""

import json
from pathlib import Path

from tests.cli.conftest import Puller
from tests.cli.mirrored import mirrored
from tests.cli.picture import IMAGE


def test_a_plan_makes_no_store_and_writes_into_no_directory(puller: Puller, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"  # as another tool has made it
    (theirs / "blobs" / "sha256").mkdir(parents=True)
    (theirs / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (theirs / "index.json").write_text('{"schemaVersion":2,"manifests":[]}')
    targets = [f"oci:{theirs}", f"oci:{tmp_path}/none", f"store:{tmp_path}/store", "store:"]
    with mirrored(puller, tmp_path, "oci") as kept:
        kept.up.add("app:1", IMAGE)
        mirrors = [{"from": kept.up.name("app"), "to": target} for target in targets]
        kept.file.write_text(json.dumps({"puller": 1, "mirrors": mirrors}))
        before = sorted(tmp_path.rglob("*"))
        ended = puller("plan", str(kept.file))
        assert (ended.code, ended.out.count("not there")) == (0, 4)
        assert sorted(tmp_path.rglob("*")) == before
        assert puller("sync", str(kept.file)).code == 0
        assert "4 unchanged" in puller("plan", str(kept.file)).out
