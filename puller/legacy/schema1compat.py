"""Manifests of schema 1 as Docker itself checked them, holes and all: for recorded vectors, never for a pull.

`validate_manifest` is moby 504e67b867 (LEGACY.md c.2): the signature covers the payload, and what is decoded is the
whole document, so whoever appends fields is believed. `verify_manifest` is the fix 011bfd666e (c.3): by digest only
the payload is decoded, and signatures are not looked at any more. `schema1` is what to use.
"""

from typing import Any, Final

from puller.errors import InputError, InvalidDigest, InvalidManifest, VerificationError
from puller.legacy import jws, olddigest
from puller.legacy.gojson import load, load_members
from puller.legacy.gostruct import STRING, Field, Integer, ListOf, Struct
from puller.legacy.gotext import quoted
from puller.legacy.schema1 import SignedManifest

_LAYER: Final = Struct("manifest.FSLayer", (Field("blobSum", STRING),))
_HISTORY: Final = Struct("manifest.History", (Field("v1Compatibility", STRING),))
_MANIFEST: Final = Struct(
    "manifest.Manifest",
    (
        Field("schemaVersion", Integer("int")), Field("name", STRING), Field("tag", STRING),
        Field("architecture", STRING), Field("fsLayers", ListOf(_LAYER, "[]manifest.FSLayer")),
        Field("history", ListOf(_HISTORY, "[]manifest.History")),
    ),
)  # fmt: skip


def validate_manifest(raw: bytes, tag: str) -> SignedManifest:
    """What 504e67b867 would have pulled for `tag`, which may be a digest. Raises InvalidManifest in its words."""
    content = raw.strip(jws.SPACE)
    load(raw)
    values = decode(content)
    if _is_digest(tag):
        _check(tag, jws.PrettySignature.parse_like_libtrust(content).payload)
    _check_shape(values, tag)
    try:
        signed = jws.PrettySignature.parse_like_libtrust(content)
        keys = signed.verify()
    except (InputError, VerificationError) as error:
        raise InvalidManifest(f"error verifying manifest for tag {quoted(tag)}: {error.what}") from error
    if not values["name"]:
        raise InvalidManifest("runtime error: index out of range [0] with length 0")  # the original crashed
    return _manifest(values, signed.payload, tuple(key.key_id for key in keys))


def verify_manifest(raw: bytes, tag: str) -> SignedManifest:
    """What 011bfd666e would have pulled for `tag`. Raises InvalidManifest in its words."""
    content = raw.strip(jws.SPACE)
    load(raw)
    values = decode(content)
    try:
        payload = jws.PrettySignature.parse_like_libtrust(content).payload
    except InvalidManifest:
        payload = content
    if _is_digest(tag):
        _check(tag, payload)
        values = decode(payload)
    _check_shape(values, tag)
    return _manifest(values, payload, ())


def decode(content: bytes) -> dict[str, Any]:
    """The struct that encoding/json made of a whole document. Raises InvalidManifest in its words."""
    return _MANIFEST.load(content, load_members(content))


def _is_digest(tag: str) -> bool:
    try:
        olddigest.validate(tag)
    except InvalidDigest:
        return False
    return True


def _check(digest: str, payload: bytes) -> None:
    try:
        if olddigest.matches(digest, payload):
            return
    except InvalidDigest as error:  # a tarsum: the original tried to read the payload as an archive
        raise InvalidManifest("archive/tar: invalid tar header") from error
    raise InvalidManifest(f"image verification failed for digest {digest}")


def _check_shape(values: dict[str, Any], tag: str) -> None:
    version = values["schemaVersion"]
    if version != 1:
        raise InvalidManifest(f"unsupported schema version {version} for tag {quoted(tag)}")
    if len(_items(values, "fsLayers")) != len(_items(values, "history")):
        raise InvalidManifest(f"length of history not equal to number of layers for tag {quoted(tag)}")
    if not _items(values, "fsLayers"):
        raise InvalidManifest(f"no FSLayers in manifest for tag {quoted(tag)}")


def _items(values: dict[str, Any], key: str) -> tuple[dict[str, Any], ...]:
    return tuple(values[key].items) if values[key] is not None else ()


def _manifest(values: dict[str, Any], payload: bytes, key_ids: tuple[str, ...]) -> SignedManifest:
    return SignedManifest(
        payload,
        values["name"],
        values["tag"],
        values["architecture"],
        tuple(layer["blobSum"] for layer in _items(values, "fsLayers")),
        tuple(entry["v1Compatibility"].encode("utf-8") for entry in _items(values, "history")),
        key_ids,
    )
