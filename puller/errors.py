"""The whole error tree. Two trunks matter most: *what was served is wrong* and *it could not be had*.

    PullerError
    ├── InputError (also ValueError)     what was written, served or stored does not follow its rules
    │   ├── InvalidReference             a name that is no image reference
    │   ├── InvalidDigest                text that is no sha256 or sha512 digest
    │   ├── InvalidManifest              a manifest, index, config or other document that breaks its format
    │   ├── InvalidConfig                a command-line value or a configuration file
    │   │   └── HelperFailed             a credential helper that did not do what helpers do
    │   └── Unsupported                  well-formed, and more than this program does
    ├── VerificationError                bytes that are not what was promised: never retried
    │   ├── DigestMismatch, SizeMismatch, DiffIDMismatch, TarsumMismatch
    │   ├── MediaTypeMismatch            one document under two descriptions
    │   ├── SignatureInvalid             a signed manifest that is not what was signed, or not signed where it must be
    │   └── WeakDigest                   only a weak promise where a strong one was required
    ├── RegistryError                    the other side did not give it
    │   ├── Unauthorized, NotFound, RateLimited, Unavailable, ConnectionLost, TLSFailure
    │   ├── ContentUnknown               what was put refers to what the registry has not
    │   ├── UnsafeRedirect               the registry pointed where secrets or requests must not go
    │   └── ProtocolViolation            an answer no registry may give
    ├── StoreError                       the disk did not keep it
    │   ├── ContentMissing, ContentCorrupt, NoSpace, StoreBusy
    │   └── StoreUnusable                no store can live there (permissions, file system)
    └── LayerError                       a layer that cannot be read or unpacked
        ├── InvalidArchive               not a tar archive, or a broken one
        ├── TruncatedArchive             it ends too early
        ├── InvalidCompression           not the gzip or zstd stream it should be
        ├── UnsafePath                   an entry that reaches for what is not its own
        └── LimitExceeded                larger than it may become

Every error says *what, where, wanted, got* and may carry the context it passed on its way up. Secrets and query strings
never enter an error.
"""

from typing import ClassVar, Self

from puller.model.text import printable


class PullerError(Exception):
    """Anything that went wrong in this package.

    `what` is one clause; `where` the place (an offset, a file, a key); `wanted` and `got` the two values that differ;
    `hint` what the reader can do. `reference`, `digest`, `phase`, `host` and `attempts` are context: whoever knows them
    adds them with `at()`, and what is known already is never overwritten.
    """

    retryable: ClassVar[bool] = False
    context: ClassVar[tuple[str, ...]] = ("reference", "digest", "phase", "host", "attempts")

    def __init__(
        self,
        what: str,
        *,
        where: object = None,
        wanted: object = None,
        got: object = None,
        hint: str = "",
        **context: object,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.wanted = wanted
        self.got = got
        self.hint = hint
        self.reference: str | None = None
        self.digest: str | None = None
        self.phase: str | None = None
        self.host: str | None = None
        self.attempts: int | None = None
        self.at(**context)

    def at(self, **context: object) -> Self:
        """Add what is known of the place: any of `reference`, `digest`, `phase`, `host`, `attempts`."""
        for name, value in context.items():
            if name not in self.context:
                raise TypeError(f"{name} is no context of an error")
            if value is not None and getattr(self, name) is None:
                setattr(self, name, value if isinstance(value, int) else str(value))
        return self

    def facts(self) -> dict[str, object]:
        """The error as plain data, for reports: its kind and whatever is known; numbers stay numbers."""
        names = ("what", "where", "wanted", "got", "hint", *self.context)
        values = ((name, getattr(self, name)) for name in names)
        known = {n: v if isinstance(v, int) else printable(str(v)) for n, v in values if v not in (None, "")}
        notes = [printable(note) for note in getattr(self, "__notes__", ())]
        return {"error": type(self).__name__, **known, **({"notes": notes} if notes else {})}

    def __str__(self) -> str:
        parts = [self.what if self.where is None else f"{self.what} ({printable(str(self.where))})"]
        known = ((name, getattr(self, name)) for name in ("wanted", "got", *self.context))
        parts += [f"{name} {printable(str(value))}" for name, value in known if value not in (None, "")]
        # Each value was cut by itself above: a long one must not take the place of those after it.
        text = ", ".join(parts)
        return printable(f"{text}. {self.hint}" if self.hint else text, limit=len(text) + len(self.hint) + 2)


class InputError(PullerError, ValueError):
    """Something written, served or stored does not follow its rules."""


class InvalidReference(InputError):
    """A name that is no image reference."""


class InvalidDigest(InputError):
    """Text that is no sha256 or sha512 digest."""


class InvalidManifest(InputError):
    """A document of the registry world that breaks its format."""


class InvalidConfig(InputError):
    """A command-line value or a configuration file that cannot be used."""


class HelperFailed(InvalidConfig):
    """A credential helper that is not there, or did not answer as helpers do (THREATS B11)."""


class Unsupported(InputError):
    """Well-formed, and more than this program does."""


class VerificationError(PullerError):
    """Bytes that are not what was promised. Never retried, except once from zero after a resume."""


class DigestMismatch(VerificationError):
    """The content hashes to something else."""


class SizeMismatch(VerificationError):
    """The content is longer or shorter than its descriptor says."""


class DiffIDMismatch(VerificationError):
    """The uncompressed layer is not the one the image config names."""


class TarsumMismatch(VerificationError):
    """The layer's tarsum is not the promised one."""


class MediaTypeMismatch(VerificationError):
    """One document under two descriptions (THREATS C4)."""


class SignatureInvalid(VerificationError):
    """A manifest's signature does not hold, or there is none where one was required (THREATS C15–C17)."""


class WeakDigest(VerificationError):
    """A weak promise (tarsum) where a strong one was required."""


class RegistryError(PullerError):
    """The other side did not give what was asked for."""


class Unauthorized(RegistryError):
    """The registry or its token server refuses this identity, or wants one."""


class NotFound(RegistryError):
    """No such repository, tag, manifest or blob."""


class ContentUnknown(RegistryError):
    """What was put refers to content that the registry has not, or not any more: bring that again, then this."""


class RateLimited(RegistryError):
    """The registry asks for patience and the retries are used up."""

    retryable = True


class Unavailable(RegistryError):
    """The server fails (5xx) or cannot be reached."""

    retryable = True


class ConnectionLost(RegistryError):
    """The line was cut, stalled or crept."""

    retryable = True


class TLSFailure(RegistryError):
    """No trusted TLS connection. Never a reason to try plain HTTP (THREATS B1)."""


class UnsafeRedirect(RegistryError):
    """The registry points where neither secrets nor requests may go (THREATS B2–B9)."""


class ProtocolViolation(RegistryError):
    """An answer that no registry may give."""


class StoreError(PullerError):
    """The disk did not keep or give what it should."""


class ContentMissing(StoreError):
    """The store does not hold it."""


class ContentCorrupt(StoreError):
    """What the store holds is not what its name says."""


class NoSpace(StoreError):
    """The disk is full, or would be."""


class StoreBusy(StoreError):
    """Another process holds what is needed, or the machine is out of handles."""


class StoreUnusable(StoreError):
    """No store can live there: permissions, read-only, or not a store."""


class LayerError(PullerError):
    """A layer that cannot be read or unpacked."""


class InvalidArchive(LayerError):
    """Not a tar archive, or a broken one."""


class TruncatedArchive(LayerError):
    """The archive ends too early."""


class InvalidCompression(LayerError):
    """Not the gzip or zstd stream it should be."""


class UnsafePath(LayerError):
    """An entry that reaches for what is not its own: out of the root, or for the root itself (THREATS F1-F5)."""


class LimitExceeded(LayerError):
    """Larger than it may become (THREATS D6, E9)."""
