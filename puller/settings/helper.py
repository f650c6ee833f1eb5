"""Helpers: the credential programs `docker-credential-NAME`, by the protocol of docker/docker-credential-helpers.

The server's name goes in on stdin, and nothing but that; what comes back on stdout is a secret or an excuse. Neither
that nor stderr is ever shown: what a helper says when it fails may hold the secret (THREATS B15).
"""

import json
import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from puller.contracts.access import Credential
from puller.errors import HelperFailed, InvalidConfig, InvalidManifest
from puller.model.document import load_document
from puller.model.reference import is_registry
from puller.settings.dockerconfig import Helped
from puller.settings.key import Key
from puller.settings.process import Ran, run

TIMEOUT = 30.0  # seconds
MAX_ANSWER = 256 << 10  # bytes; tokens of cloud registries have some thousand
TOKEN_USER = "<token>"  # noqa: S105 - the user name that says that the secret is an identity token
_NOT_FOUND = b"credentials not found in native keychain"  # credentials/error.go
_EXCUSES = (_NOT_FOUND, b"no credentials server URL", b"no credentials username")


class Helpers:
    """The programs that `environ` leads to by its PATH; they get all of it. `timeout` is in seconds, for each run."""

    def __init__(self, environ: Mapping[str, str], *, timeout: float = TIMEOUT) -> None:
        self._environ = dict(environ)
        self._timeout = timeout

    async def get(self, account: Helped) -> Credential | None:
        """The secret; None: the helper knows none. Raises HelperFailed for all else."""
        ran = await self._run(account, "get", account.server.encode())
        if ran.status != 0:
            if ran.out.strip() == _NOT_FOUND:
                return None
            raise self._failed(account, "get", ran)
        return _read(ran.out, account)

    async def store(self, account: Helped, credential: Credential) -> None:
        """Let it keep a secret. Raises HelperFailed."""
        token = credential.identity_token
        wish = {
            "ServerURL": account.server,
            "Username": TOKEN_USER if token else credential.username,
            "Secret": token or credential.password,
        }
        ran = await self._run(account, "store", json.dumps(wish).encode())
        if ran.status != 0:
            raise self._failed(account, "store", ran)

    async def erase(self, account: Helped) -> bool:
        """Let it forget a secret; False: it says that it had none. Raises HelperFailed."""
        ran = await self._run(account, "erase", account.server.encode())
        if ran.status != 0 and ran.out.strip() != _NOT_FOUND:
            raise self._failed(account, "erase", ran)
        return ran.status == 0

    async def _run(self, account: Helped, verb: str, said: bytes) -> Ran:
        path = self._find(account)
        try:
            ran = await run([str(path), verb], said, environ=self._environ, timeout=self._timeout, limit=MAX_ANSWER)
        except OSError as error:
            raise _broken(account, "cannot be run", where=path, got=error.strerror) from error
        if ran.late:
            got = f"none within {self._timeout:g} s"
            raise _broken(account, "does not answer", wanted="an answer", got=got, hint=_try(account, verb))
        if len(ran.out) > MAX_ANSWER:
            raise _broken(account, "says too much", wanted=f"at most {MAX_ANSWER} bytes")
        return ran

    def _find(self, account: Helped) -> Path:
        """The program; a relative entry of the PATH is passed over, for it means whatever directory this is."""
        name = _program(account)
        for folder in map(Path, self._environ.get("PATH", "").split(os.pathsep)):
            path = folder / name
            if folder.is_absolute() and path.is_file() and os.access(path, os.X_OK):
                return path
        hint = "Install it, or take it out of the settings, or name other credentials: --authfile FILE."
        raise _broken(account, "is not on the PATH", hint=hint)

    @staticmethod
    def _failed(account: Helped, verb: str, ran: Ran) -> HelperFailed:
        said = ran.out.strip()
        got = f"exit status {ran.status}" if ran.status is None or ran.status >= 0 else f"signal {-ran.status}"
        if said in _EXCUSES:
            got = f"{got}, {said.decode('ascii')}"
        return _broken(account, "failed", got=got, hint=_try(account, verb))


def _program(account: Helped) -> str:
    return f"docker-credential-{account.helper}"


def _broken(
    account: Helped, how: str, *, where: object = None, wanted: object = None, got: object = None, hint: str = ""
) -> HelperFailed:
    what = f"the credential helper {_program(account)} {how}"
    return HelperFailed(
        what, where=where or account.source, wanted=wanted, got=got, hint=hint, host=Key.of(account.server).host
    )


def _try(account: Helped, verb: str) -> str:
    """How to see what a helper complains of: it is not repeated here, as it may hold the secret."""
    if verb != "get":
        return "What it says is not shown, for it may hold secrets."
    return f"See what it complains of: echo {shlex.quote(account.server)} | {_program(account)} get"


def _read(raw: bytes, account: Helped) -> Credential | None:
    """The credential of an answer; None for one that is empty, as some helpers say that they know none."""
    wanted = "a JSON object of ServerURL, Username and Secret"
    try:
        document = load_document(raw, what="answer", limit=MAX_ANSWER)
    except InvalidManifest:  # not chained: it may quote
        raise _broken(account, "answers what is no credential", wanted=wanted, hint=_try(account, "get")) from None
    server, username, secret = (document.get(key) or "" for key in ("ServerURL", "Username", "Secret"))
    if not (isinstance(server, str) and isinstance(username, str) and isinstance(secret, str)):
        raise _broken(account, "answers what is no credential", wanted=wanted)
    if server and Key.of(server).host != Key.of(account.server).host:
        other = Key.of(server).host
        got = other if is_registry(other) else None  # what is no name may be anything, a secret too
        raise _broken(account, "answers with the credential of another registry", wanted=account.server, got=got)
    if not username and not secret:
        return None
    if not username or not secret:
        raise _broken(account, "answers half a credential", wanted="Username and Secret")
    try:
        return Credential("", "", secret) if username == TOKEN_USER else Credential(username, secret)
    except InvalidConfig as error:
        raise _broken(account, "answers a credential that cannot be sent", got=error.what) from None
