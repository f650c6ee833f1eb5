"""Login: accounts shown to their registries, and then kept where docker, podman and skopeo look for them."""

import sys
from dataclasses import dataclass, field

import click

from puller.cli import interrupt
from puller.cli.environment import credential_places, login_path, surroundings
from puller.cli.options import Access
from puller.cli.registries import open_client
from puller.cli.screen import Plain
from puller.contracts.access import Credential, KnownIdentity
from puller.errors import InvalidConfig, InvalidReference, PullerError
from puller.model.reference import DOCKER_HUB, Reference
from puller.settings.authfile import AuthFile
from puller.settings.dockerconfig import Helped
from puller.settings.helper import Helpers
from puller.settings.key import Key
from puller.settings.login import LoginFile

MAX_PASSWORD = 64 << 10  # bytes; tokens that serve as passwords have some thousand


@dataclass(frozen=True, slots=True)
class Login:
    """Whose account where. `key` is a registry, or a part of one."""

    key: Key
    credential: Credential = field(repr=False)

    def identity(self, registry: str, repository: str) -> KnownIdentity:
        """This account and no other: a Keyring for the time of the login."""
        return KnownIdentity("this login", self.credential)


def log_in(text: str, username: str | None, *, from_stdin: bool, access: Access) -> list[str]:
    """Check an account and keep it; what there is to say of it.

    Raises Unauthorized where the registry refuses it, and then nothing is kept; InvalidConfig, HelperFailed,
    StoreError.
    """
    key, file = _key(text), LoginFile(login_path(access.authfile))
    helped = _helper(file, key)
    login = Login(key, _credential(username, from_stdin=from_stdin))

    async def introduced() -> bool:
        async with open_client(access, jobs=1, report=Plain(several=False).show, keyring=login) as client:
            checked = await client.introduce(_somewhere(key))
        if helped is not None:
            await Helpers(surroundings()).store(helped, login.credential)
        return checked

    checked = interrupt.run(introduced, left="nothing was kept")
    file.put(key, login.credential if helped is None else None)
    return [*([] if checked else [_unchecked(key)]), *_earlier(key, file, access), _done(key, file, helped)]


def log_out(text: str, *, access: Access) -> list[str]:
    """Forget an account, in the file and in the helper; what there is to say of it. Raises as `log_in`."""
    key, file = _key(text), LoginFile(login_path(access.authfile))
    config = file.config()
    helped = None if key.path else config.helped(key.host)
    servers = [] if helped is None else dict.fromkeys([helped.server, *config.keys(key)])
    dropped = file.drop(key)  # before the helper is asked: what it does must not keep a secret in the file

    async def erased() -> bool:
        assert helped is not None
        helpers = Helpers(surroundings())
        return any([await helpers.erase(Helped(helped.helper, server)) for server in servers])

    if helped is not None and interrupt.run(erased):
        dropped = True
    said = f"logged out of {key}" if dropped else f"{file.path} has no login to {key}"
    return [said, *_elsewhere(key, file, access)]


def _key(text: str) -> Key:
    """What is logged in to: a registry as references name it, or a part of one; Docker Hub when nothing is said."""
    key = Key.of(text or DOCKER_HUB)
    try:
        _somewhere(key)
    except InvalidReference as error:
        hint = "Name it as references do: registry.example:5000, or registry.example/team."
        raise InvalidConfig("this is no registry", got=repr(text)[:160], hint=hint) from error
    return key


def _somewhere(key: Key) -> Reference:
    """A reference whose registry is asked as that account: at a login no repository is named."""
    if key.path:
        return Reference(key.host, key.path)
    return Reference(key.host, "library/login" if key.host == DOCKER_HUB else "login")


def _helper(file: LoginFile, key: Key) -> Helped | None:
    helped = file.config().helped(key.host)
    if helped is not None and key.path:
        what = "a credential helper has one account for each registry, not for parts of one"
        hint = "Keep it in a file of its own: --authfile FILE."
        raise InvalidConfig(what, where=file.path, got=str(key), hint=hint)
    return helped


def _credential(username: str | None, *, from_stdin: bool) -> Credential:
    if from_stdin:
        if not username:
            raise InvalidConfig("--password-stdin wants --username")
        raw = sys.stdin.buffer.read(MAX_PASSWORD + 1)
        if len(raw) > MAX_PASSWORD:
            raise InvalidConfig("the password is too long", wanted=f"at most {MAX_PASSWORD} bytes")
        try:
            # As docker/cli does (command/registry/login.go): one end of a line is not part of it.
            password = raw.decode("utf-8").removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            raise InvalidConfig("the password is not UTF-8") from None
    elif not sys.stdin.isatty():
        hint = "Give the password on stdin: --username NAME --password-stdin."
        raise InvalidConfig("there is nobody to ask for a password", hint=hint)
    else:
        username = username or click.prompt("Username", err=True)
        password = click.prompt("Password", hide_input=True, err=True)
    if not username or not password:
        raise InvalidConfig("a login wants a user name and a password")
    return Credential(username, password)


def _unchecked(key: Key) -> str:
    return f"warning: {key.host} asked for no credentials, so nobody has checked them"


def _done(key: Key, file: LoginFile, helped: Helped | None) -> str:
    where = file.path if helped is None else f"docker-credential-{helped.helper}"
    return f"logged in to {key}, kept in {where}"


def _earlier(key: Key, file: LoginFile, access: Access) -> list[str]:
    """A word on files that are asked before the one that was written, and know another account."""
    return [
        f"warning: {path} is asked first, and has another account for {key}"
        for path in _knowing(key, file, access, earlier=True)
    ]


def _elsewhere(key: Key, file: LoginFile, access: Access) -> list[str]:
    return [f"warning: {path} still has a login to {key}" for path in _knowing(key, file, access, earlier=False)]


def _knowing(key: Key, file: LoginFile, access: Access, *, earlier: bool) -> list[str]:
    found = []
    for place in credential_places(access.authfile):
        if place.path == file.path:
            if earlier:
                break
            continue
        try:
            known = AuthFile(place).config.accounts(key.host, key.path)
        except PullerError:
            continue  # it is told to whoever pulls
        # A helper for all registries is no sign that it knows this one.
        if any(isinstance(account, KnownIdentity) for account in known):
            found.append(str(place.path))
    return found
