"""Hints: what a reader can do about an error, where whoever raised it could not know."""

from puller.errors import ContentMissing, DigestMismatch, PullerError, SizeMismatch

_PLACES = ("oci:", "oci-archive:", "docker-archive:")  # where nothing is pulled to


def hint_for(error: PullerError) -> str:
    """A sentence or two for errors whose remedy shows only from above; empty where there is nothing to say."""
    match error:
        case ContentMissing(digest=None):
            return "`puller images` lists the names of the store; pull it first."
        case ContentMissing(where=str(where)) if where.startswith(_PLACES):
            return "Is it the right place? What it lacks has to be brought there first."
        case ContentMissing():
            return "Pull it again: only what is missing is fetched."
        case DigestMismatch(host=str(host)) | SizeMismatch(host=str(host)):
            return (
                f"{host} served other bytes than were promised, and none of them were kept. Try again, or from another"
                " network; if it stays so, tell the owner of the registry."
            )
        case _:
            return ""
