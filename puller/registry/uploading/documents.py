"""Documents: manifests and indexes put into a repository. The same again changes nothing, so a PUT may be repeated."""

from puller.errors import LimitExceeded, RegistryError
from puller.model.descriptor import Descriptor
from puller.model.document import MAX_BYTES
from puller.registry.retry import Setback
from puller.registry.uploading.parcel import Parcel, Receipt
from puller.registry.uploading.upload import Place, check_kept


async def put_document(place: Place, raw: bytes, descriptor: Descriptor, name: str) -> Receipt:
    """Put `raw` under `name`, a tag or the digest. Raises RegistryError, DigestMismatch; LimitExceeded over 4 MiB."""
    if len(raw) > MAX_BYTES:
        raise LimitExceeded("the manifest is too large", wanted=f"at most {MAX_BYTES} bytes", got=len(raw))
    what = f"manifest {name}"
    headers = {"Content-Type": descriptor.media_type}
    parcel = Parcel("PUT", place.url(f"manifests/{name}"), what, place.scope, frozenset({200, 201, 202}), headers, raw)
    trial = place.session.trial(what)
    while True:
        try:
            result = await place.session.deliver(parcel)
        except RegistryError as error:
            error.at(attempts=trial.attempts)
            raise
        if not isinstance(result, Setback):
            check_kept(result, descriptor.digest)
            return result
        await trial.after(result)
