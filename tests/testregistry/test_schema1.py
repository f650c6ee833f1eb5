"""Schema 1 documents: payload, signature, key ID; and the arithmetic under the signature."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

from testregistry import images
from testregistry.documents import payload_of
from testregistry.grammar import digest_of
from testregistry.p256 import Key

LAYERS = (images.layer({"a": b"1"}), images.layer({"b": b"2"}))


def unbase64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def signature_of(raw: bytes) -> Any:
    (signature,) = json.loads(raw)["signatures"]
    return signature


def test_layers_and_history_stand_newest_first_and_chain_by_parent() -> None:
    document = json.loads(images.schema1(*LAYERS).raw)
    assert [layer["blobSum"] for layer in document["fsLayers"]] == [LAYERS[1].digest, LAYERS[0].digest]
    newest, base = (json.loads(entry["v1Compatibility"]) for entry in document["history"])
    assert newest["parent"] == base["id"]
    assert "parent" not in base


def test_the_digest_is_that_of_the_payload_without_signatures() -> None:
    manifest = images.schema1(*LAYERS)
    assert manifest.digest == digest_of(manifest.payload) != digest_of(manifest.raw)
    assert payload_of(manifest.raw, manifest.media_type) == manifest.payload


def test_an_unsigned_document_is_its_own_payload() -> None:
    manifest = images.schema1(*LAYERS, signed=False)
    assert manifest.raw == manifest.payload
    assert manifest.media_type == "application/vnd.docker.distribution.manifest.v1+json"


def test_the_same_layers_are_signed_with_the_same_bytes() -> None:
    assert images.schema1(*LAYERS).raw == images.schema1(*LAYERS).raw


def test_p256_signs_as_rfc_6979_appendix_a_2_5_says() -> None:
    key = Key.of_secret(0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721)
    assert key.x == 0x60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6
    assert key.sign(b"sample").hex().upper() == (
        "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716"
        "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8"
    )
    assert key.sign(b"test").hex().upper() == (
        "F1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367"
        "019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083"
    )


def test_openssl_verifies_the_signature_with_the_key_in_the_header(tmp_path: Path) -> None:
    signature = signature_of(images.schema1(*LAYERS).raw)
    jwk, rs = signature["header"]["jwk"], unbase64(signature["signature"])
    point = b"\x04" + unbase64(jwk["x"]) + unbase64(jwk["y"])
    spki = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200") + point
    signed = f"{signature['protected']}.".encode() + base64.urlsafe_b64encode(images.schema1(*LAYERS).payload).rstrip(
        b"="
    )
    (tmp_path / "key").write_bytes(spki)
    (tmp_path / "sig").write_bytes(der(rs[:32], rs[32:]))
    command = ["openssl", "dgst", "-sha256", "-keyform", "DER", "-verify", "key", "-signature", "sig"]
    done = subprocess.run(command, cwd=tmp_path, input=signed, capture_output=True, check=False)
    assert done.stdout == b"Verified OK\n", done.stderr


def der(*numbers: bytes) -> bytes:
    """ECDSA-Sig-Value: a sequence of integers, each with a leading zero where its first bit is set."""
    integers = b""
    for number in numbers:
        value = number.lstrip(b"\0")
        value = b"\0" + value if value[0] & 0x80 else value
        integers += b"\x02" + bytes([len(value)]) + value
    return b"\x30" + bytes([len(integers)]) + integers


def test_the_key_id_is_twelve_groups_of_four() -> None:
    kid = signature_of(images.schema1(*LAYERS).raw)["header"]["jwk"]["kid"]
    assert [len(group) for group in kid.split(":")] == [4] * 12


def test_history_and_fields_can_be_given() -> None:
    document = json.loads(images.schema1(LAYERS[0], history=["{}"], extra={"name": "evil"}).payload)
    assert (document["history"], document["name"]) == ([{"v1Compatibility": "{}"}], "evil")
