"""Referrers: what refers to a manifest, by the API of distribution-spec 1.1 or by the tag that stands in for it.

They are hints (THREATS C20): anybody who may push there can have anything listed, so what they lead to is verified like
all content, and a list has bounds.
"""

from collections.abc import Sequence

from puller.errors import InputError, NotFound, ProtocolViolation, VerificationError
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.manifest import Index, parse_manifest
from puller.model.mediatype import OCI_INDEX
from puller.model.referrer import tag_of
from puller.registry.answer import Answer, Request
from puller.registry.failure import status_told
from puller.registry.headers import media_type
from puller.registry.identity.auth import Scope
from puller.registry.paging import MAX_PAGE, Listing, listed
from puller.registry.session import Session

MAX_REFERRERS = 10_000
MAX_PAGES = 1_000
MAX_BYTES = 16 << 20  # of all pages together
# What those say that know no such API: also 400 and 406 (go-containerregistry, pkg/v1/remote/referrers.go).
_UNKNOWN = frozenset({400, 404, 405, 406, 410, 501})
_NOUN = "list of referrers"


async def list_referrers(session: Session, root: str, scope: Scope, subject: Digest) -> Sequence[Descriptor]:
    """What refers to `subject` in the repository whose paths begin with `root`, each digest once, in the list's order.

    An API that answers is believed, also where its list is empty; only where there is none the tag is looked at
    ("Unavailable Referrers API"). Raises RegistryError; ProtocolViolation for what is no index, and beyond the bounds.
    """
    path = f"{root}/referrers/{subject}"
    listing = Listing(_NOUN, "referrers", path, scope, MAX_REFERRERS, MAX_PAGES, MAX_BYTES, accept=OCI_INDEX)
    found: list[Descriptor] = []
    try:
        async for entry in listed(session, listing, _entries):
            found.append(entry)
    except _NoSuchList:
        if found:
            raise ProtocolViolation(f"unreadable {_NOUN}", where="a later page", wanted=OCI_INDEX) from None
        found.extend(await _by_tag(session, f"{root}/manifests/{tag_of(subject)}", scope))
    except (NotFound, ProtocolViolation) as error:
        if found or error.phase == "authentication" or status_told(error) not in _UNKNOWN:
            raise
        found.extend(await _by_tag(session, f"{root}/manifests/{tag_of(subject)}", scope))
    once: dict[Digest, Descriptor] = {}
    for entry in found:
        once.setdefault(entry.digest, entry)
    return tuple(once.values())


class _NoSuchList(Exception):
    """The answer is a page of something else: a registry whose web site answers what it does not know."""


def _entries(answer: Answer, raw: bytes) -> Sequence[Descriptor]:
    if _type_of(answer) != OCI_INDEX:
        raise _NoSuchList
    return _index(raw)


async def _by_tag(session: Session, path: str, scope: Scope) -> Sequence[Descriptor]:
    try:
        answer, raw = await session.read(Request("GET", path, _NOUN, scope, (OCI_INDEX,)), limit=MAX_PAGE)
    except NotFound as error:
        if error.phase == "authentication":
            raise
        return ()
    kind = _type_of(answer)
    if kind is not None and kind != OCI_INDEX:
        raise ProtocolViolation(f"unreadable {_NOUN}", wanted=OCI_INDEX, got=kind[:160])
    return _index(raw)


def _type_of(answer: Answer) -> str | None:
    types = answer.header("Content-Type")
    return media_type(types[0]) if len(types) == 1 else None


def _index(raw: bytes) -> Sequence[Descriptor]:
    try:
        index = parse_manifest(raw, OCI_INDEX)
    except (InputError, VerificationError) as error:
        raise ProtocolViolation(f"unreadable {_NOUN}", where=str(error)) from error
    assert isinstance(index, Index)
    return index.manifests
