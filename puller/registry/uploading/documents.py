"""Documents: manifests and indexes put into a repository. The same again changes nothing, so a PUT may be repeated."""

from puller.errors import ContentUnknown, LimitExceeded, RegistryError
from puller.model.descriptor import Descriptor
from puller.model.document import MAX_BYTES
from puller.registry.failure import codes
from puller.registry.retry import Setback
from puller.registry.session import Session
from puller.registry.uploading.parcel import Parcel, Receipt
from puller.registry.uploading.refusal import refused
from puller.registry.uploading.upload import Place, check_kept

_TAKEN = frozenset({200, 201, 202})
# Distribution-spec, "Error Codes", as registries answer to a document whose children they have not.
_MISSING = frozenset({"MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN", "MANIFEST_UNKNOWN"})
_AMONG_REFUSALS = frozenset({400, 404})


async def put_document(place: Place, raw: bytes, descriptor: Descriptor, name: str) -> Receipt:
    """Put `raw` under `name`, a tag or the digest.

    Raises ContentUnknown where the registry has not all that it refers to, any other RegistryError, DigestMismatch;
    LimitExceeded over 4 MiB.
    """
    if len(raw) > MAX_BYTES:
        raise LimitExceeded("the manifest is too large", wanted=f"at most {MAX_BYTES} bytes", got=len(raw))
    what = f"manifest {name}"
    headers = {"Content-Type": descriptor.media_type}
    accepted = _TAKEN | _AMONG_REFUSALS
    url = place.url(f"manifests/{name}")
    receipt = await handed_in(place.session, Parcel("PUT", url, what, place.scope, accepted, headers, raw))
    if receipt.status in _TAKEN:
        check_kept(receipt, descriptor.digest)
        return receipt
    error = refused(receipt, what=what)
    if _MISSING.isdisjoint(codes(receipt.body)):
        raise error
    raise ContentUnknown(error.what, got=error.got, hint=error.hint).at(host=error.host)


async def handed_in(session: Session, parcel: Parcel) -> Receipt:
    """Deliver what may be delivered more than once, until it is taken. Raises RegistryError."""
    trial = session.trial(parcel.what)
    while True:
        try:
            result = await session.deliver(parcel)
        except RegistryError as error:
            error.at(attempts=trial.attempts)
            raise
        if not isinstance(result, Setback):
            return result
        await trial.after(result)
