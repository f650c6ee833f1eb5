"""The key that a store signs with: a libtrust JWK in a file, made when it is first needed, as Docker's key.json."""

import os
from pathlib import Path
from typing import Final

from puller.errors import InvalidConfig, PullerError, StoreUnusable
from puller.graph import files
from puller.graph.failure import translated
from puller.legacy.signing import SigningKey

_LIMIT: Final = 64 << 10
_OTHERS: Final = 0o077
_HINT: Final = "Move the file away to have a new key made; what the old one signed stays signed by it."


def signing_key(path: Path) -> SigningKey:
    """The key in the file, made (P-256) where there is none. Of two processes that make it one wins, and both get its.

    Raises StoreUnusable for a file that others than its owner may read or write, InvalidConfig for a damaged one;
    nothing of a key is in an error.
    """
    with translated(path.parent):
        return _kept(path) or _made(path)


def _kept(path: Path) -> SigningKey | None:
    with files.directory(path.parent) as folder:
        fd = files.opened(folder, path.name)
    if fd is None:
        return None
    with os.fdopen(fd, "rb") as file:
        mode = os.fstat(fd).st_mode
        if mode & _OTHERS:
            hint = "Whoever could read it can sign as you: move it away for a new one, or chmod 600 if you trust them."
            raise StoreUnusable(
                "the signing key is open to others",
                where=path,
                wanted="mode 0600",
                got=f"{mode & 0o777:04o}",
                hint=hint,
            )
        raw = file.read(_LIMIT + 1)
    try:
        return SigningKey.parse(raw)
    except PullerError:
        raise InvalidConfig("the signing key is damaged", where=path, hint=_HINT) from None


def _made(path: Path) -> SigningKey:
    scratch = path.with_name(f".{path.name}.new")
    while True:
        fd = files.lock_file(scratch)
        try:
            files.locked(fd, wait=True)
            ours = files.is_at(fd, scratch)
            found = _kept(path)
            if found is not None:
                if ours:
                    scratch.unlink()
                return found
            if ours:
                return _written(fd, scratch, path)
        finally:
            os.close(fd)


def _written(fd: int, scratch: Path, path: Path) -> SigningKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    if os.fstat(fd).st_uid != os.geteuid():
        raise StoreUnusable("somebody else has a file where the signing key is to be written", where=scratch)
    key = SigningKey.of(ec.generate_private_key(ec.SECP256R1()))
    content = key.jwk()
    os.ftruncate(fd, 0)  # what a process left that died here
    os.fchmod(fd, 0o600)
    os.pwrite(fd, content, 0)
    os.fsync(fd)
    scratch.rename(path)
    files.sync_directory(path.parent)
    return key
