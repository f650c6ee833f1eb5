"""Image configs: diff IDs and the chain IDs that follow; everything else is only shown."""

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puller.errors import InvalidManifest
from puller.model.config import History, chain_ids, parse_config
from puller.model.digest import Digest
from puller.model.platform import Platform
from tests.model.strategies import digests
from tests.model.test_digest import NOT_A_DIGEST

DIFF_IDS = [Digest.of(b"base"), Digest.of(b"top")]


def _document(**changes: object) -> dict[str, Any]:
    document = {
        "architecture": "arm64",
        "os": "linux",
        "created": "2024-05-01T00:00:00Z",
        "config": {"User": "1000:1000", "Labels": {"a": "b"}, "Volumes": {"../../etc": {}}},
        "rootfs": {"type": "layers", "diff_ids": [str(d) for d in DIFF_IDS]},
        "history": [
            {"created": "2024-05-01T00:00:00Z", "created_by": "ADD rootfs.tar /"},
            {"created_by": "ENV A=b", "empty_layer": True, "comment": "buildkit"},
        ],
    } | changes
    return {key: value for key, value in document.items() if value is not ...}


def _raw(**changes: object) -> bytes:
    return json.dumps(_document(**changes)).encode()


def _refused(**changes: object) -> str:
    with pytest.raises(InvalidManifest) as refusal:
        parse_config(_raw(**changes))
    assert str(refusal.value).startswith("image config")
    return str(refusal.value)


def test_a_config_tells_platform_layers_and_history() -> None:
    config = parse_config(_raw())
    assert config.platform == Platform.parse("linux/arm64")
    assert config.diff_ids == tuple(DIFF_IDS)
    assert config.created == "2024-05-01T00:00:00Z"
    assert config.user == "1000:1000"
    assert config.labels == {"a": "b"}
    assert config.history == (
        History("2024-05-01T00:00:00Z", "ADD rootfs.tar /", False),
        History("", "ENV A=b", True),
    )


def test_the_bytes_that_were_verified_are_kept() -> None:
    raw = json.dumps(_document(), indent=3).encode()
    assert parse_config(raw).raw == raw


@pytest.mark.parametrize("key", ["created", "config", "history"])
@pytest.mark.parametrize("value", [..., None])
def test_all_but_the_layers_may_be_missing(key: str, value: object) -> None:
    assert parse_config(_raw(**{key: value})).diff_ids == tuple(DIFF_IDS)


def test_a_signature_in_image_form_names_no_platform() -> None:
    assert parse_config(_raw(os="", architecture="")).platform is None
    assert parse_config(_raw(os=..., architecture=...)).platform is None


@pytest.mark.parametrize(("key", "value"), [("os", ""), ("architecture", ...)])
def test_half_a_platform_as_old_imports_have_it_is_none(key: str, value: Any) -> None:
    assert parse_config(_raw(**{key: value})).platform is None


@pytest.mark.parametrize(("key", "value"), [("os", 1), ("architecture", []), ("variant", 8)])
def test_a_platform_of_other_types_is_refused(key: str, value: object) -> None:
    assert "image config:" in _refused(**{key: value})


@pytest.mark.parametrize("kind", [..., None, "", "Layers", "layers ", ["layers"], 1])
def test_c12_the_root_filesystem_is_made_of_layers(kind: object) -> None:
    rootfs = {"type": kind, "diff_ids": []} if kind is not ... else {"diff_ids": []}
    assert "rootfs.type must be layers" in _refused(rootfs=rootfs)


@pytest.mark.parametrize("rootfs", [..., None, [], "layers", {}])
def test_c12_a_config_without_root_filesystem_is_refused(rootfs: object) -> None:
    assert "rootfs" in _refused(rootfs=rootfs)


@pytest.mark.parametrize("text", NOT_A_DIGEST)
def test_c12_every_diff_id_is_a_digest(text: str) -> None:
    assert "diff_ids[1] is no digest" in _refused(rootfs={"type": "layers", "diff_ids": [str(DIFF_IDS[0]), text]})


@pytest.mark.parametrize("entry", [None, 1, True, [], {}, {"digest": str(DIFF_IDS[0])}])
def test_c12_a_diff_id_is_text(entry: object) -> None:
    assert "diff_ids[0] is no digest" in _refused(rootfs={"type": "layers", "diff_ids": [entry]})


@given(st.lists(digests, max_size=6))
def test_c12_diff_ids_keep_their_order_and_number_duplicates_and_sha512_included(diff_ids: list[Digest]) -> None:
    rootfs = {"type": "layers", "diff_ids": [str(d) for d in diff_ids + diff_ids[:1]]}
    assert parse_config(_raw(rootfs=rootfs)).diff_ids == tuple(diff_ids + diff_ids[:1])


@pytest.mark.parametrize("diff_ids", [[], None, ...])
def test_c12_an_image_may_have_no_layers(diff_ids: object) -> None:
    rootfs = {"type": "layers"} | ({"diff_ids": diff_ids} if diff_ids is not ... else {})
    config = parse_config(_raw(rootfs=rootfs))
    assert config.diff_ids == config.chain_ids == ()


@pytest.mark.parametrize("document", [{}, {"schemaVersion": 2, "config": {}, "layers": []}, {"manifests": []}])
def test_c13_another_document_is_no_config(document: dict[str, Any]) -> None:
    with pytest.raises(InvalidManifest, match="image config: rootfs"):
        parse_config(json.dumps(document).encode())


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b"null", b"\x1f\x8b\x08", b'{"rootfs": {}, "rootfs": {}}'])
def test_c13_other_bytes_are_no_config(raw: bytes) -> None:
    with pytest.raises(InvalidManifest, match="image config"):
        parse_config(raw)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("created", 1), ("history", {}), ("history", [1]), ("history", [{"created_by": []}]), ("config", []),
        ("history", [{"empty_layer": 1}]), ("history", [{"empty_layer": "true"}]), ("history", [{"empty_layer": None}]),
        ("config", {"User": 0}), ("config", {"Labels": []}), ("config", {"Labels": {"a": 1}}),
    ],
    ids=str,
)  # fmt: skip
def test_a4_a_config_of_the_wrong_shape_is_refused(key: str, value: object) -> None:
    _refused(**{key: value})


@pytest.mark.parametrize(
    "user",
    [
        "4294967296", "4294967295", "0:4294967296", "4294967296:0", "99999999999999999999", "name:4294967295",
        "-1", "0:-1", "-0001", "+4294967296", "004294967296", "18446744073709551616",
    ],
)  # fmt: skip
def test_c21_a_user_out_of_range_is_an_error_and_not_a_name(user: str) -> None:
    assert "User out of range" in _refused(config={"User": user})


@pytest.mark.parametrize(
    "user",
    ["", "0", "root", "0:0", "4294967294", "+0", "000000000000000000007", "nobody:4294967294", "1e10", "٤٢٩٤٩٦٧٢٩٦",
     "4294967296x", "0x100000000", "a b", "\x1b[31m"],
)  # fmt: skip
def test_c21_every_other_user_is_kept_as_it_stands(user: str) -> None:
    assert parse_config(_raw(config={"User": user})).user == user


@given(st.dictionaries(st.text(max_size=10), st.text(max_size=10), max_size=4))
def test_c21_labels_are_kept_raw(labels: dict[str, str]) -> None:
    assert parse_config(_raw(config={"Labels": labels})).labels == labels


def _by_the_formula(diff_ids: list[str], up_to: int) -> str:
    """ChainID of layers 0 to `up_to`, straight from config.md, with nothing of the program."""
    if up_to == 0:
        return diff_ids[0]
    text = _by_the_formula(diff_ids, up_to - 1) + " " + diff_ids[up_to]
    return "sha256:" + hashlib.sha256(text.encode("ascii")).hexdigest()


@given(st.lists(digests, min_size=1, max_size=8))
def test_chain_ids_follow_from_diff_ids_by_the_formula_of_the_spec(diff_ids: list[Digest]) -> None:
    texts = [str(diff_id) for diff_id in diff_ids]
    assert [str(chain_id) for chain_id in chain_ids(diff_ids)] == [_by_the_formula(texts, i) for i in range(len(texts))]


def test_a_chain_id_worked_out_by_other_tools_is_met() -> None:
    # printf 'sha256:2dc9…0012 sha256:9f3b…345e' | sha256sum
    diff_ids = [
        "sha256:2dc9f76fb25b31e0ae9d36adce713364c682ba0d2fa70756486e5cedfaf40012",
        "sha256:9f3bfcc4a1a8a676da07287a1aa6f2dcc8e869ea6f054c337593481a5bb1345e",
    ]
    assert str(chain_ids(map(Digest.parse, diff_ids))[1]) == (
        "sha256:61199b56f34827cbab596c63fd6e0ac0c448faa7e026e330994818190852d479"
    )


def test_a_config_knows_its_chain_ids() -> None:
    config = parse_config(_raw())
    assert config.chain_ids == chain_ids(DIFF_IDS)
    assert config.chain_ids[0] == DIFF_IDS[0]
