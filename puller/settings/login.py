"""LoginFile: the file that logins are written to, as docker writes it: its other settings stay as they are.

It is replaced as a whole by one rename, under a lock, and only its owner can read it.
"""

import base64
import fcntl
import json
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from puller.contracts.access import Credential
from puller.errors import StoreBusy
from puller.model.diskerror import disk_error
from puller.settings.dockerconfig import DockerConfig, document_of
from puller.settings.file import read_file
from puller.settings.key import HUB_KEY, Key, server_of

_INDENT = re.compile(rb'\{\s*?\n([ \t]+)"')
_CREATE = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_WRONLY | os.O_CLOEXEC
_UNFINISHED = ".puller-login-"
# A turn takes milliseconds. Whoever can read the directory can take its lock, and need not give it back.
BUSY, WAIT = 10.0, 0.02  # seconds: for a turn at most, and between two tries


class LoginFile:
    """Docker's config.json or containers' auth.json; it need not be there yet."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def config(self) -> DockerConfig:
        """What it holds now. Raises InvalidConfig."""
        return DockerConfig.parse(read_file(self.path) or b"", file=str(self.path))

    def put(self, key: Key, credential: Credential | None) -> None:
        """Keep a login; None: a helper keeps it, and only that there is one is noted, as docker does.

        Raises InvalidConfig for a file that cannot be read, StoreError for one that cannot be written, or whose turn
        another process does not give up.
        """
        entry = {} if credential is None else _entry(credential)

        def edit(document: dict[str, Any]) -> bool:
            auths = document.get("auths") or {}
            written = _written(key)
            others = [name for name in auths if name != written and _is_other_name(name, key)]
            if auths.get(written) == entry and not others and not _is_open(self.path):
                return False
            document["auths"] = {name: kept for name, kept in auths.items() if name not in others} | {written: entry}
            return True

        self._edit(edit)

    def drop(self, key: Key) -> bool:
        """Forget all logins under `key`; False: there were none. Raises as `put`."""
        if read_file(self.path) is None:
            return False

        def edit(document: dict[str, Any]) -> bool:
            auths = document.get("auths") or {}
            kept = {name: entry for name, entry in auths.items() if Key.of(name) != key}
            document["auths"] = kept
            return len(kept) < len(auths)

        return self._edit(edit)

    def _edit(self, edit: Callable[[dict[str, Any]], bool]) -> bool:
        """Let `edit` change what the file holds now, and write it if that says that it did."""
        # Links are followed, as docker does: the file may lie among others that are kept under version control.
        target = Path(os.path.realpath(self.path))
        try:
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _locked(target.parent):
                raw = read_file(target) or b""
                document = document_of(raw, str(self.path))
                if not edit(document):
                    return False
                _replace(target, _dumped(document, raw))
                return True
        except OSError as error:
            raise disk_error(error, where=self.path) from error


def _entry(credential: Credential) -> dict[str, str]:
    """As docker/cli writes it (types.AuthConfig, configfile.encodeAuth)."""
    entry = {}
    if credential.username or credential.password:
        entry["auth"] = base64.b64encode(f"{credential.username}:{credential.password}".encode()).decode("ascii")
    if credential.identity_token:
        entry["identitytoken"] = credential.identity_token
    return entry


def _written(key: Key) -> str:
    """The key under which docker looks for it, and containers/image as well."""
    return str(key) if key.path else server_of(key.host)


def _is_other_name(name: str, key: Key) -> bool:
    """Whether podman would find an older login to Docker Hub under this name before it comes to docker's."""
    return _written(key) == HUB_KEY and "://" not in name and Key.of(name) == key


def _dumped(document: dict[str, Any], raw: bytes) -> bytes:
    """As the file was indented; docker does it with tabs."""
    indent = _INDENT.match(raw.lstrip())
    text = json.dumps(document, indent=indent[1].decode() if indent else "\t", ensure_ascii=False)
    return text.encode() + (b"\n" if raw.endswith(b"\n") else b"")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """The turn of one process at a time; the lock is the directory's, so nothing is left behind by it."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _lock(fd, folder)
        yield
        os.fsync(fd)
    finally:
        os.close(fd)


def _lock(fd: int, folder: Path) -> None:
    deadline = time.monotonic() + BUSY
    while True:
        try:
            return fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                hint = f"See who it is: fuser -v {folder}"
                raise StoreBusy("another process holds the lock of the logins", where=folder, hint=hint) from None
            time.sleep(WAIT)


def _is_open(path: Path) -> bool:
    """Whether a file of logins lets others in."""
    with suppress(FileNotFoundError):
        return bool(path.stat().st_mode & 0o077)
    return False


def _replace(target: Path, content: bytes) -> None:
    """Under the lock of the directory."""
    for left in target.parent.glob(f"{_UNFINISHED}*"):  # by a process that was killed; it holds a secret
        with suppress(OSError):  # where others may write, what has this name may be theirs, or no file
            left.unlink()
    unfinished = target.with_name(f"{_UNFINISHED}{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(unfinished, _CREATE, 0o600), "wb") as file:
            _leave_to_owner(file.fileno(), target)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


def _leave_to_owner(fd: int, target: Path) -> None:
    """Root who logs in for another does not take the file from them (docker/cli, copyFilePermissions)."""
    with suppress(FileNotFoundError, PermissionError):
        owner = target.stat()
        if (owner.st_uid, owner.st_gid) != (os.geteuid(), os.getegid()):
            os.fchown(fd, owner.st_uid, owner.st_gid)
