"""Refusal: what a registry says against what is brought to it, as a typed error with the cause that its code names."""

from puller.errors import NotFound, ProtocolViolation, RegistryError, UnsafeRedirect
from puller.registry.failure import codes, failed
from puller.registry.transport.origin import Origin
from puller.registry.transport.redirect import REDIRECTS
from puller.registry.uploading.parcel import Receipt

# Codes of the distribution spec ("Error Codes"), and what each means for somebody who pushes.
_CAUSES = {
    "BLOB_UNKNOWN": ("content it refers to is not there", ""),
    "BLOB_UPLOAD_INVALID": ("the upload went out of step", ""),
    "BLOB_UPLOAD_UNKNOWN": ("the registry has lost the upload", ""),
    "DENIED": ("this identity may not push there", "Log in as somebody who may, and look whether the name is right."),
    "DIGEST_INVALID": ("what arrived has another digest", "Something between here and there changes what is sent."),
    "MANIFEST_BLOB_UNKNOWN": (
        "the registry lacks blobs that the manifest names",
        "Push again: they may be gone since.",
    ),
    "MANIFEST_INVALID": ("the registry takes no such manifest", "Schema 1 is refused by most: --format schema2."),
    "MANIFEST_UNVERIFIED": ("the registry does not accept the manifest's signature", ""),
    "NAME_INVALID": ("the registry takes no such name", ""),
    "NAME_UNKNOWN": ("the registry has no such repository", "Some want it to be made before anything is pushed there."),
    "SIZE_INVALID": ("the registry finds the size wrong, or too large", ""),
    "TAG_INVALID": ("the tag is not that of the manifest, or not allowed", ""),
    "TOOMANYREQUESTS": ("too many requests", ""),
    "UNAUTHORIZED": ("the registry wants other credentials", "Log in as somebody who may push there."),
    "UNSUPPORTED": ("the registry does not take this", "Is it read-only, a cache, or older than what is pushed?"),
}
_TOKEN_CODES = frozenset({"DENIED", "UNAUTHORIZED"})


def refused(receipt: Receipt, *, what: str) -> RegistryError:
    """The error for an answer that does not take what was brought."""
    status, body, host = receipt.status, receipt.body, Origin.of(receipt.url).netloc
    if status in REDIRECTS:
        hint = "Uploads are not redirected: use the address that the registry has now."
        return UnsafeRedirect(f"{what}: the registry sends it elsewhere", got=f"HTTP {status}", hint=hint).at(host=host)
    error = failed(status, body, what=what, host=host)
    cause, hint = next((_CAUSES[code] for code in codes(body) if code in _CAUSES), ("", ""))
    if not cause and status == 413:
        cause = "too large for the registry, or for a proxy before it"
    if cause:
        error.what = f"{what}: {cause}"
    if cause or isinstance(error, NotFound | ProtocolViolation):
        error.hint = hint
    return error


def denies_token(status: int, body: bytes, authorization: str | None) -> bool:
    """Whether an answer asks for another Authorization than was sent.

    ECR Public says 400 of an expired token (DEMANDS E40); other 400s are about what was brought.
    """
    with_token = authorization is not None and authorization.startswith("Bearer ")
    return status == 401 or (status == 400 and with_token and not _TOKEN_CODES.isdisjoint(codes(body)))
