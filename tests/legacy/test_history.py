"""Layers of schema 1 manifests: which fold, which chains are refused, which IDs follow."""

import hashlib
import json
from itertools import pairwise
from typing import Any

import pytest

from puller.errors import InvalidManifest
from puller.legacy.history import V1Layer, fold_layers
from puller.legacy.idchain import Candidate, id_chain
from puller.legacy.schema1compat import decode
from tests.legacy.folders import Folders
from tests.legacy.golden import cases, fixture, from_base64, named, recorded

CHAINS = cases("chains")
WILD = recorded("expected")["chains"]
BLOB = "sha256:" + "ab" * 32


def name_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def text(name: str, parent: str | None = None, **fields: object) -> bytes:
    linked = {} if parent is None else {"parent": name_of(parent)}
    return json.dumps({"id": name_of(name), "docker_version": "1.9.0", **linked, **fields}).encode()


def fold(*history: bytes) -> tuple[V1Layer, ...]:
    return fold_layers([BLOB] * len(history), history)


def check(case: dict[str, Any], history: list[bytes]) -> None:
    if case["fix_error"] is not None:
        with pytest.raises(InvalidManifest) as caught:
            fold_layers(case["layers"], history)
        assert caught.value.what == case["fix_error"]
        return
    layers = fold_layers(case["layers"], history)
    assert [layer.blob for layer in layers] == case["fixed_layers"]
    if case["infos_error"] is not None:
        with pytest.raises(InvalidManifest) as caught:
            id_chain(layers)
        assert caught.value.what == case["infos_error"]
        return
    check_images(case["images"], id_chain(layers))


def check_images(images: list[dict[str, str]], chain: tuple[Candidate, ...]) -> None:
    choices = Folders({}).choose(chain)
    found = [
        {"compat_id": c.legacy_id, "id": h.image_id, "parent": h.parent or "", "strong_id": f"sha256:{c.strong_id}"}
        for c, h in zip(chain, choices, strict=True)
    ]
    assert found[::-1] == [{key: image[key] for key in found[0]} for image in images]
    # Of manifests from the wild the configs were not recorded: their hashes, the strong IDs, are as good.
    configs = [from_base64(image["config_b64"]) for image in reversed(images) if "config_b64" in image]
    assert configs in ([], [candidate.config for candidate in chain])


@pytest.mark.parametrize("case", CHAINS, ids=named)
def test_chains_are_those_recorded_of_the_original(case: dict[str, Any]) -> None:
    check(case, [from_base64(line) for line in case["history_b64"]])
    if case["fix_error"] is None:
        layers = fold_layers(case["layers"], [from_base64(line) for line in case["history_b64"]])
        assert [layer.v1_compatibility for layer in layers] == [from_base64(line) for line in case["fixed_history_b64"]]


@pytest.mark.parametrize("case", WILD, ids=named)
def test_chains_of_manifests_from_the_wild_are_those_recorded_of_the_original(case: dict[str, Any]) -> None:
    values = decode(fixture(case["name"]).strip())
    history = [entry["v1Compatibility"].encode() for entry in values["history"].items]
    check(case, history)


def test_adjacent_duplicates_fold_into_the_lower_one_and_folding_again_changes_nothing() -> None:
    # TestFixManifestLayers
    history = (text("c", "b"), text("c", "b", os="lower"), text("b", "a"), text("b", "a"), text("a"))
    layers = fold(*history)
    assert [layer.v1_compatibility for layer in layers] == [history[1], history[3], history[4]]
    assert fold(*(layer.v1_compatibility for layer in layers)) == layers


def test_c18_a_base_layer_with_a_parent_is_refused() -> None:
    # TestFixManifestLayersBaseLayerParent
    with pytest.raises(InvalidManifest, match="Invalid parent ID in the base layer"):
        fold(text("b", "a"), text("a", "x"))


def test_c18_a_parent_that_is_not_the_next_layer_is_refused() -> None:
    # TestFixManifestLayersBadParent
    with pytest.raises(InvalidManifest, match=r"Invalid parent ID. Expected"):
        fold(text("c", "x"), text("b", "a"), text("a"))


@pytest.mark.parametrize("length", [2, 3])
def test_c18_a_cycle_of_parents_is_refused(length: int) -> None:
    names = [str(n % length) for n in range(length + 1)]
    history = [text(name, below) for name, below in pairwise(names)]
    with pytest.raises(InvalidManifest, match="appears multiple times"):
        fold(*history, text(names[-1]))


def test_c18_an_image_that_is_its_own_parent_is_refused() -> None:
    with pytest.raises(InvalidManifest, match="base layer"):
        fold(text("a", "a"), text("a", "a"))


def test_c18_one_id_in_two_places_is_refused() -> None:
    with pytest.raises(InvalidManifest, match="appears multiple times"):
        fold(text("a", "b"), text("b", "a"), text("a"))


@pytest.mark.parametrize("blobs", [0, 1, 3])
def test_c18_layers_and_history_must_pair_up(blobs: int) -> None:
    with pytest.raises(InvalidManifest, match="length of history"):
        fold_layers([BLOB] * blobs, [text("b", "a"), text("a")])


def test_c18_no_layers_are_refused() -> None:
    with pytest.raises(InvalidManifest, match="no FSLayers"):
        fold()


def test_c19_a_layer_marked_as_throwaway_is_a_layer_like_any_other() -> None:
    # Docker of this time knew no such mark, so history and layers never shift against each other.
    marked, plain = fold(text("b", "a", throwaway=True), text("a"))
    assert (marked.blob, plain.blob) == (BLOB, BLOB)
    assert b'"throwaway":true' in id_chain((marked, plain))[1].config


def test_c14_equal_content_has_one_id_whatever_ids_and_history_claim() -> None:
    one = id_chain(fold(text("b", "a"), text("a")))
    other = id_chain(fold(text("y", "x"), text("x")))
    assert [candidate.strong_id for candidate in one] == [candidate.strong_id for candidate in other]
    assert [candidate.config for candidate in one] == [candidate.config for candidate in other]
    assert one[1].legacy_id != other[1].legacy_id


def test_c14_what_lies_below_changes_every_id_above() -> None:
    one = id_chain(fold(text("b", "a"), text("a")))
    other = id_chain(fold(text("b", "a"), text("a", os="plan9")))
    assert {c.strong_id for c in one}.isdisjoint(c.strong_id for c in other)
    assert (one[0].parent_strong_id, one[1].parent_strong_id) == (None, one[0].strong_id)


def test_a_chain_of_127_layers_is_folded_and_named() -> None:
    names = [str(n) for n in range(127)]
    history = [text(name, below) for name, below in pairwise(names)]
    chain = id_chain(fold(*history, text(names[-1])))
    assert len({candidate.strong_id for candidate in chain}) == 127
