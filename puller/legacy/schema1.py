"""SignedManifest: a manifest of schema 1, decoded from what was verified and nothing else (LEGACY.md c.3, c.4).

The looser ways of the original live in `schema1compat`; which images the layers make is `history`'s matter.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from puller.errors import DigestMismatch, InvalidDigest, InvalidManifest, SignatureInvalid, Unsupported
from puller.legacy import jws
from puller.legacy.gojson import Member, compact, indented, load_members
from puller.legacy.gostruct import fold
from puller.legacy.history import V1Layer, fold_layers
from puller.model.digest import Digest, TarsumDigest
from puller.model.document import MAX_BYTES, list_of, load_document, text_of
from puller.model.gostring import quote

_WHAT: Final = "schema 1 manifest"
_FIELDS: Final = ("schemaVersion", "name", "tag", "architecture", "fsLayers", "history")
_BY_FOLDED: Final = {fold(key): key for key in (*_FIELDS, "blobSum", "v1Compatibility")}
_INDENT: Final = "   "  # manifest.Sign of distribution
# More layers than any graph driver took (127) a hundred times over; each is hashed, decoded and looked up.
MAX_LAYERS: Final = 12_700


@dataclass(frozen=True, slots=True)
class SignedManifest:
    """What a manifest says. `blobs` and `history` are top first and equally long; `name` and `tag` are its own claim.

    `payload` is what its digest names and its signatures cover. `key_ids` are the signers', empty where unsigned: they
    say that the document is whole, and whom to trust is the caller's to know. `ignored` are keys that stood outside of
    what was signed and were not read.
    """

    payload: bytes
    name: str
    tag: str
    architecture: str
    blobs: tuple[str, ...]
    history: tuple[bytes, ...]
    key_ids: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

    @property
    def digest(self) -> Digest:
        """What a registry names the manifest by: the digest of the payload."""
        return Digest.of(self.payload)

    @property
    def is_signed(self) -> bool:
        return bool(self.key_ids)

    def layers(self) -> tuple[V1Layer, ...]:
        """The images it makes, top first. Raises InvalidManifest as `fold_layers`."""
        return fold_layers(self.blobs, self.history)

    def blob_names(self) -> tuple[Digest | TarsumDigest, ...]:
        """The blobs by names that can be verified, top first. Raises InvalidDigest for any other name."""
        return tuple(map(_blob_name, self.blobs))


def parse_signed_manifest(
    raw: bytes, *, expected: Digest | None = None, require_signature: bool = False
) -> SignedManifest:
    """Verify and decode a manifest as it was served.

    A signature that is there must hold, every one of them; an unsigned manifest is taken unless `require_signature`.
    The payload must have the `expected` digest; of an unsigned one that is the digest of the document without the
    white space around it, as Go's decoder handed it on. Raises DigestMismatch, SignatureInvalid, InvalidManifest, and
    Unsupported for another schema version.
    """
    if len(raw) > MAX_BYTES:
        raise InvalidManifest(f"{_WHAT} is too large", wanted=f"at most {MAX_BYTES} bytes", got=len(raw))
    content = raw.strip(jws.SPACE)
    members = load_members(content)
    if members is None:
        raise InvalidManifest(f"{_WHAT} is no JSON object")
    if not any(member.key == jws.KEY for member in members):
        return _unsigned(content, expected, require_signature)
    signed = jws.PrettySignature.parse(content, members)
    _check_digest(expected, signed.payload)
    keys = signed.verify()
    document = load_document(signed.payload, what=_WHAT)
    ignored = _ignored(members, signed.payload, len(document))
    return _decode(signed.payload, document, tuple(key.key_id for key in keys), ignored)


def encode_manifest(name: str, tag: str, architecture: str, blobs: Sequence[str], history: Sequence[bytes]) -> bytes:
    """The payload of a new manifest, top first, as Docker laid it out for signing. Raises InvalidManifest.

    Refused are lists of different lengths and texts of history that are not UTF-8.
    """
    if len(blobs) != len(history) or not blobs:
        raise InvalidManifest("history and layers must pair up", wanted=len(blobs), got=len(history))
    try:
        texts = [text.decode("utf-8") for text in history]
    except UnicodeDecodeError as error:
        raise InvalidManifest("history is not UTF-8") from error
    layers = b",".join(b'{"blobSum":%b}' % quote(blob) for blob in blobs)
    past = b",".join(b'{"v1Compatibility":%b}' % quote(text) for text in texts)
    head = b'{"schemaVersion":1,"name":%b,"tag":%b,"architecture":%b' % (quote(name), quote(tag), quote(architecture))
    return indented(b'%b,"fsLayers":[%b],"history":[%b]}' % (head, layers, past), indent=_INDENT)


def _unsigned(content: bytes, expected: Digest | None, require_signature: bool) -> SignedManifest:
    if require_signature:
        raise SignatureInvalid("manifest is not signed", wanted="a signature", got="none")
    _check_digest(expected, content)
    return _decode(content, load_document(content, what=_WHAT))


def _ignored(members: Sequence[Member], payload: bytes, count: int) -> tuple[str, ...]:
    """The keys of members that do not stand in the signed `payload`, which has `count`, but for white space."""
    # As a signer leaves it: all that is signed and the signatures. A number may have been made longer behind the cut.
    before = payload.rstrip(jws.SPACE)[:-1].rstrip(jws.SPACE)
    if len(members) == count + 1 and members[-1].key == jws.KEY and before.endswith(members[-2].text):
        return ()
    inside = {(member.key, compact(member.text)) for member in load_members(payload) or ()}
    outside = (member for member in members if member.key != jws.KEY)
    return tuple(sorted({member.key for member in outside if (member.key, compact(member.text)) not in inside}))


def _check_digest(expected: Digest | None, payload: bytes) -> None:
    if expected is None:
        return
    found = Digest.of(payload, expected.algorithm)
    if found != expected:
        raise DigestMismatch("image verification failed for digest", wanted=expected, got=found)


def _decode(
    payload: bytes, document: dict[str, Any], key_ids: tuple[str, ...] = (), ignored: tuple[str, ...] = ()
) -> SignedManifest:
    document = _known_fields(document)
    version = document.get("schemaVersion")
    if type(version) is not int or version != 1:
        raise Unsupported("unsupported schema version of a manifest", wanted=1, got=repr(version)[:40])
    blobs = _column(document, "fsLayers", "blobSum")
    history = _column(document, "history", "v1Compatibility")
    if len(blobs) != len(history):
        raise InvalidManifest("length of history not equal to number of layers", wanted=len(blobs), got=len(history))
    if not blobs:
        raise InvalidManifest("no FSLayers in manifest")
    name, tag, architecture = (text_of(document, key, what=_WHAT, default="") for key in _FIELDS[1:4])
    texts = tuple(text.encode("utf-8") for text in history)
    return SignedManifest(payload, name, tag, architecture, blobs, texts, key_ids, ignored)


def _column(document: dict[str, Any], key: str, field: str) -> tuple[str, ...]:
    entries = list_of(document, key, what=_WHAT, default=True)
    if len(entries) > MAX_LAYERS:
        raise InvalidManifest(f"{_WHAT}: too many {key}", wanted=f"at most {MAX_LAYERS}", got=len(entries))
    found = []
    for place, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise InvalidManifest(f"{_WHAT}: {key} must hold objects", where=place, got=type(entry).__name__)
        found.append(text_of(_known_fields(entry), field, what=f"{_WHAT} {key}[{place}]"))
    return tuple(found)


def _known_fields(document: dict[str, Any]) -> dict[str, Any]:
    """The fields by the names that Go knew; as it took them in any case, two of one name are refused."""
    known: dict[str, Any] = {}
    for key, value in document.items():
        name = _BY_FOLDED.get(fold(key))
        if name in known:
            raise InvalidManifest(f"{_WHAT}: one field twice", where=key, got=name)
        if name is not None:
            known[name] = value
    return known


def _blob_name(text: str) -> Digest | TarsumDigest:
    try:
        return TarsumDigest.parse(text) if text.startswith("tarsum") else Digest.parse(text)
    except InvalidDigest as error:
        error.at(phase="layers of the manifest")
        raise
