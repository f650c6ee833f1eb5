"""`puller id-chain`: what it shows of a manifest, and that IDs from the network name nothing (THREATS C14)."""

import hashlib
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from puller.legacy.schema1 import encode_manifest
from puller.legacy.v1image import V1Image
from puller.model.digest import Digest
from tests.cli.chained import BASE, HONEST, TOP, Show, check_refused, history, showing, values
from tests.cli.conftest import Puller
from tests.cli.program import Ended
from tests.legacy.signers import ec_key, payload, rsa_key, signed
from tests.legacy.test_history import BLOB, name_of, text


@pytest.fixture
def show(puller: Puller, tmp_path: Path) -> Show:
    """`puller id-chain` of these bytes."""
    return showing(puller, tmp_path)


# -- what is shown ---------------------------------------------------------------------------------------------------


def test_every_image_is_shown_top_first_with_whole_ids(show: Show) -> None:
    end = show(HONEST)
    assert (end.code, end.err) == (0, "")
    assert values(end, "strong") == [TOP.strong_id, BASE.strong_id]
    assert values(end, "legacy") == [name_of("b"), name_of("a")]
    assert values(end, "chosen") == [f"{one.strong_id}  strong ID; no store was asked" for one in (TOP, BASE)]
    assert values(end, "layer") == [BLOB, BLOB]
    assert values(end, "images") == ["2, of 2 layers"]


def test_the_head_tells_what_is_claimed_and_what_was_proved(show: Show) -> None:
    end = show(signed(ec_key(), rsa_key()))
    assert values(end, "claims") == ["library/app:1 amd64"]
    assert values(end, "digest") == [str(Digest.of(payload()))]
    assert sorted(values(end, "signed by")) == sorted(key.public.key_id for key in (ec_key(), rsa_key()))
    assert values(end, "graph") == ["not asked"]
    assert values(show(payload()), "signed by") == ["nobody"]


def test_layers_of_one_id_fold(show: Show) -> None:
    end = show(history(text("b", "a"), text("a"), text("a")))
    assert values(end, "images") == ["2, of 3 layers"]
    assert len(values(end, "strong")) == 2


def test_d1_layers_named_by_a_tarsum_are_taken_and_marked(show: Show) -> None:
    label = "tarsum.v1+sha256:" + "ab" * 32
    end = show(history(text("b", "a"), text("a"), blobs=[label, BLOB]))
    assert values(end, "layer") == [f"{label}  weak", BLOB]
    assert end.code == 0


@pytest.mark.parametrize("name", ["md5:" + "ab" * 16, "sha256:ab", "x tarsum+sha256:ab", ""])
def test_d1_layers_named_by_what_verifies_nothing_are_refused(show: Show, name: str) -> None:
    check_refused(show(history(text("a"), blobs=[name])), 1, "Invalid")


def test_json_holds_all_of_it(show: Show) -> None:
    found = json.loads(show(HONEST, "--json").out)
    images = found.pop("images")
    assert found == {
        "name": "library/app",
        "tag": "1",
        "architecture": "amd64",
        "digest": str(Digest.of(payload())),
        "signed": True,
        "key_ids": [ec_key().public.key_id],
        "ignored": [],
        "layers": 2,
        "graph": None,
    }
    assert [image["strong_id"] for image in images] == [TOP.strong_id, BASE.strong_id]
    assert images[0] == {
        "layer": BLOB,
        "weak": False,
        "strong_id": TOP.strong_id,
        "strong_parent": BASE.strong_id,
        "legacy_id": name_of("b"),
        "id": TOP.strong_id,
        "parent": BASE.strong_id,
        "reason": "strong ID; no store was asked",
        "present": False,
    }


def test_the_manifest_may_come_from_standard_input(puller: Puller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(HONEST)))
    assert values(puller("id-chain", "-"), "strong") == [TOP.strong_id, BASE.strong_id]


def test_nothing_is_made_where_no_store_is(show: Show, home: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    for words in ((), ("--store", str(home / "store")), ("--graph", str(home / "docker"))):
        assert show(HONEST, *words).code == 0
    assert sorted(tmp_path.rglob("*")) == sorted([*before, tmp_path / "manifest.json"])


def test_c22_what_a_manifest_claims_cannot_act_on_a_terminal(show: Show) -> None:
    end = show(encode_manifest("\x1b[31mred", "1\r\nchosen", "\u202e", [BLOB], [text("a")]))
    assert end.code == 0
    assert "\x1b" not in end.out
    assert values(end, "claims") == ["\\x1b[31mred:1\\x0d\\x0achosen \\u202e"]


# -- words -----------------------------------------------------------------------------------------------------------


def test_the_digest_that_was_asked_for_is_taken(show: Show) -> None:
    assert show(HONEST, "--digest", str(Digest.of(payload()))).code == 0


def test_c15_another_digest_is_refused(show: Show) -> None:
    check_refused(show(HONEST, "--digest", str(Digest.of(HONEST))), 3, "DigestMismatch")


@pytest.mark.parametrize("word", ["", "sha256", "sha256:ab", "md5:" + "ab" * 16])
def test_a_digest_that_is_none_is_a_wrong_word(show: Show, word: str) -> None:
    end = show(HONEST, "--digest", word)
    assert (end.code, end.out) == (2, "")


def test_a_signature_that_is_required_must_be_there(show: Show) -> None:
    check_refused(show(payload(), "--require-signature"), 3, "SignatureInvalid")
    assert show(HONEST, "--require-signature").code == 0


def test_a_file_that_is_not_there_is_a_wrong_word(puller: Puller, tmp_path: Path) -> None:
    assert puller("id-chain", str(tmp_path / "none")).code == 2


@pytest.mark.parametrize("raw", [b"", b"no json", b"[]", b"{}", b" " * (5 << 20)], ids=lambda raw: str(raw[:9]))
def test_what_is_no_manifest_is_refused(show: Show, raw: bytes) -> None:
    check_refused(show(raw), 1)


# -- C14: IDs from the network are labels ----------------------------------------------------------------------------


def plant(root: Path, image_id: str, *, parent: str = "", checksum: str = BLOB, text: bytes | None = None) -> None:
    """An image as an old Docker left it, with or without its v1Compatibility."""
    folder = root / "graph" / image_id
    folder.mkdir(parents=True)
    (root / "vfs" / "dir" / image_id).mkdir(parents=True)
    below = {"parent": parent} if parent else {}
    (folder / "json").write_text(json.dumps({"id": image_id, "docker_version": "1.9.0", **below}))
    (folder / "checksum").write_text(checksum)
    if text is not None:
        (folder / "v1Compatibility").write_bytes(text)


def listed(root: Path) -> dict[str, Any]:
    return {str(path): (path.lstat().st_mtime_ns, path.is_file() and path.read_bytes()) for path in root.rglob("*")}


def test_c14_the_ids_a_manifest_claims_name_nothing(show: Show) -> None:
    other = show(history(text("y", "x"), text("x")))
    assert values(other, "strong") == [TOP.strong_id, BASE.strong_id]
    assert values(other, "legacy") != values(show(HONEST), "legacy")


@pytest.mark.parametrize("option", ["--store", "--graph"])
def test_legacy_ids_are_kept_where_the_graph_proves_them(show: Show, tmp_path: Path, option: str) -> None:
    root = tmp_path / "docker"
    # The texts of images that Docker itself wrote: every field of its struct.
    top, base = (V1Image.decode(one).encode() for one in (text("b", "a"), text("a")))
    plant(root, name_of("a"))  # its v1Compatibility has to be made for the proof, and is not written
    plant(root, name_of("b"), parent=name_of("a"), text=top)
    before = listed(root)
    end = show(history(top, base), option, str(root))
    assert values(end, "chosen") == [f"{name_of(name)}  legacy ID, proved" for name in ("b", "a")]
    assert values(end, "graph") == [str(root)]
    assert listed(root) == before
    images = json.loads(show(history(top, base), option, str(root), "--json").out)["images"]
    assert [image["present"] for image in images] == [True, True]


def test_c14_an_image_of_other_content_under_a_claimed_id_is_not_taken_for_it(show: Show, tmp_path: Path) -> None:
    root = tmp_path / "docker"
    plant(root, name_of("a"), checksum="sha256:" + "cd" * 32, text=text("a"))
    top, base = values(show(HONEST, "--graph", str(root)), "chosen")
    assert base.startswith(f"{BASE.strong_id}  strong ID; legacy ID not kept: digest mismatch: ")
    assert top == f"{TOP.strong_id}  strong ID"


def test_c14_a_child_of_a_trusted_parent_needs_its_content(show: Show, tmp_path: Path) -> None:
    root = tmp_path / "docker"
    plant(root, name_of("a"), text=text("a"))
    plant(root, name_of("b"), parent=name_of("a"), text=text("b", "a", comment="evil"))
    top, base = values(show(HONEST, "--graph", str(root)), "chosen")
    assert base == f"{name_of('a')}  legacy ID, proved"
    assert top.startswith(f"{TOP.strong_id}  strong ID; legacy ID not kept")


def test_c14_a_strong_id_that_holds_something_else_is_probed_past(show: Show, tmp_path: Path) -> None:
    root = tmp_path / "docker"
    plant(root, BASE.strong_id, checksum="sha256:" + "cd" * 32, text=text("a"))
    top, base = values(show(HONEST, "--graph", str(root)), "chosen")
    probed = hashlib.sha256(BASE.strong_id.encode()).hexdigest()
    assert base.startswith(f"{probed}  probed; strong ID is taken: ")
    assert top.startswith(TOP.strong_id)


def test_a_damaged_image_under_a_legacy_id_is_refused_as_a_pull_refuses_it(show: Show, tmp_path: Path) -> None:
    root = tmp_path / "docker"
    plant(root, name_of("b"), parent=name_of("a"))  # and no parent
    check_refused_graph(show(HONEST, "--graph", str(root)))


def check_refused_graph(end: Ended) -> None:
    assert (end.code, end.out) == (3, "")
    assert "[ContentCorrupt]" in end.err


def test_g3_a_parent_cycle_in_the_graph_ends(show: Show, tmp_path: Path) -> None:
    root = tmp_path / "docker"
    plant(root, name_of("a"), parent=name_of("b"))
    plant(root, name_of("b"), parent=name_of("a"))
    check_refused_graph(show(HONEST, "--graph", str(root)))
