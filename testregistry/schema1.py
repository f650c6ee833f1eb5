"""Schema 1 manifests: history newest first, signed in libtrust's manner with a fixed key, so the bytes never change."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from testregistry.body import BytesBody
from testregistry.content import Content
from testregistry.documents import SCHEMA1, SCHEMA1_SIGNED
from testregistry.grammar import digest_of
from testregistry.layers import Layer
from testregistry.p256 import Key

# No secret: anybody may sign with it, and nobody should trust it.
TEST_KEY_SECRET = int.from_bytes(hashlib.sha256(b"testregistry: a key for tests, not a secret").digest(), "big")
_SPKI_P256 = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")


@dataclass(frozen=True, slots=True)
class Schema1:
    """A schema 1 manifest; its digest is that of the payload, the document without signatures.

    `blobs` are the names its layers go by, base first: their digests, or the tarsum labels they were given.
    """

    digest: str
    raw: bytes
    payload: bytes
    media_type: str
    layers: tuple[Layer, ...]
    blobs: tuple[str, ...]

    @property
    def size(self) -> int:
        return len(self.raw)

    def content(self) -> Iterator[Content]:
        for name, part in zip(self.blobs, self.layers, strict=True):
            yield Content(name, part.media_type, part.body)
        yield Content(self.digest, self.media_type, BytesBody(self.raw), is_manifest=True)


def schema1(
    *layers: Layer,
    name: str = "app",
    tag: str = "1",
    architecture: str = "amd64",
    signed: bool = True,
    blobs: Sequence[str] | None = None,
    history: Sequence[str] | None = None,
    extra: Mapping[str, object] | None = None,
) -> Schema1:
    """Make a schema 1 manifest of layers given base first.

    `blobs` are the names that the layers go by, base first, in place of their digests: tarsum labels for an image of
    2014, whose layers were served as plain tars (`compression="none"`). `history` are the v1Compatibility texts, newest
    first, in place of generated ones. `extra` overrides fields of the document before it is signed.
    """
    names = tuple(part.digest for part in layers) if blobs is None else tuple(blobs)
    texts = list(history) if history is not None else _history(layers, architecture)
    document = {
        "schemaVersion": 1,
        "name": name,
        "tag": tag,
        "architecture": architecture,
        "fsLayers": [{"blobSum": name} for name in reversed(names)],
        "history": [{"v1Compatibility": text} for text in texts],
        **(extra or {}),
    }
    payload = json.dumps(document, indent=3).encode()
    raw = sign(payload) if signed else payload
    return Schema1(digest_of(payload), raw, payload, SCHEMA1_SIGNED if signed else SCHEMA1, layers, names)


def sign(payload: bytes, secret: int = TEST_KEY_SECRET) -> bytes:
    """Return an indented JSON object with a "signatures" member added as its last, over its bytes as they stand.

    The protected header keeps what is needed to get the payload back: how many of its bytes come first
    (`formatLength`), and what follows them (`formatTail`).
    """
    key = Key.of_secret(secret)
    kept = len(payload[:-1].rstrip())
    protected = _base64url(
        json.dumps({
            "formatLength": kept,
            "formatTail": _base64url(payload[kept:]),
            "time": "1970-01-01T00:00:00Z",
        }).encode()
    )  # fmt: skip
    signature = {
        "header": {"jwk": _jwk(key), "alg": "ES256"},
        "signature": _base64url(key.sign(f"{protected}.{_base64url(payload)}".encode())),
        "protected": protected,
    }
    block = json.dumps([signature], indent=3).replace("\n", "\n   ")
    return payload[:kept] + f',\n   "signatures": {block}\n}}'.encode()


def key_id(key: Key) -> str:
    """Return libtrust's key ID: base32 of 30 bytes of the hashed public key, in twelve groups of four."""
    point = b"\x04" + key.x.to_bytes(32, "big") + key.y.to_bytes(32, "big")
    hashed = hashlib.sha256(_SPKI_P256 + point).digest()[:30]
    text = base64.b32encode(hashed).decode()
    return ":".join(text[at : at + 4] for at in range(0, len(text), 4))


def _jwk(key: Key) -> dict[str, str]:
    return {
        "crv": "P-256",
        "kid": key_id(key),
        "kty": "EC",
        "x": _base64url(key.x.to_bytes(32, "big")),
        "y": _base64url(key.y.to_bytes(32, "big")),
    }


def _history(layers: Sequence[Layer], architecture: str) -> list[str]:
    """One image after the other, each naming the one below as its parent; returned newest first."""
    texts: list[str] = []
    parent = ""
    for part in layers:
        identity = hashlib.sha256(f"{parent} {part.diff_id}".encode()).hexdigest()
        image = {
            "id": identity,
            **({"parent": parent} if parent else {}),
            "created": "1970-01-01T00:00:00Z",
            "container_config": {"Cmd": ["/bin/sh -c #(nop) testregistry"]},
            "architecture": architecture,
            "os": "linux",
        }
        texts.append(json.dumps(image, separators=(",", ":")))
        parent = identity
    return texts[::-1]


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
