"""RegsyncHost: `creds` of a regsync file: how registries are spoken to, and where the logins are (regclient:
config/host.go).
"""

from collections.abc import Mapping

from puller.mirror import gotemplate
from puller.mirror.config import Host, Login
from puller.mirror.regsynckey import set_keys
from puller.mirror.yamlfile import Value
from puller.model.reference import is_registry

_KNOWN = ("registry", "hostname", "user", "pass", "tls", "repoAuth", "reqPerSec", "reqConcurrent")
_HELPER = "Name it under `credHelpers` in docker's config.json."
_CERTIFICATE = "Put it into certs.d of docker or podman."
_MIRROR = "Name mirrors in registries.conf or hosts.toml."
_REFUSED = {
    "token": "Log in with `puller login`.",
    **dict.fromkeys(("credHelper", "credExpire", "credHost"), _HELPER),
    **dict.fromkeys(("regcert", "clientCert", "clientKey", "clientcert", "clientkey"), _CERTIFICATE),
    **dict.fromkeys(("pathPrefix", "mirrors", "priority"), _MIRROR),
    "dns": "The registry's own name is looked up.",
    "scheme": "Write `tls: disabled` for plain HTTP.",
    **dict.fromkeys(("api", "apiOpts"), "The API is found out."),
    **dict.fromkeys(("blobChunk", "blobMax"), "Leave it out: uploads are cut where a registry wants that."),
}
_DOCKER_HUB = ("docker.io", "registry-1.docker.io")
_LEAST_RATE, _MOST_RATE = 1e-4, 1e6


def hosts_of(value: Value, environment: Mapping[str, str]) -> dict[str, Host]:
    """By registry. Raises InvalidConfig."""
    hosts: dict[str, Host] = {}
    for item in value.items():
        keys = set_keys(item, _KNOWN, _REFUSED)
        if "registry" not in keys:
            raise item.wrong("`registry` is missing")
        name = gotemplate.expand(keys["registry"], environment)
        if not is_registry(name):
            raise keys["registry"].wrong("no registry", wanted="host[:port]", got=name[:140])
        if name in hosts:
            raise keys["registry"].wrong("a registry comes twice", got=name)
        hosts[name] = _host(name, keys)
    return hosts


def _host(name: str, keys: Mapping[str, Value]) -> Host:
    same = _DOCKER_HUB if name == _DOCKER_HUB[0] else (name,)
    if "hostname" in keys and keys["hostname"].text() not in same:
        hint = "Say in hosts.toml or registries.conf which host stands for the name."
        raise keys["hostname"].wrong("`hostname` is not taken over", got=keys["hostname"].text()[:140], hint=hint)
    if "repoAuth" in keys:
        keys["repoAuth"].boolean()  # tokens are asked for by repository, with or without
    tls = keys["tls"].text().lower() if "tls" in keys else "enabled"
    if tls not in ("enabled", "insecure", "disabled"):
        raise keys["tls"].wrong("an unknown word", wanted="enabled, insecure or disabled", got=tls[:40])
    concurrency = keys["reqConcurrent"].integer() if "reqConcurrent" in keys else 0
    return Host(
        rate=_rate(keys["reqPerSec"]) if "reqPerSec" in keys else None,
        concurrency=concurrency or None,
        plain_http=tls == "disabled",
        insecure=tls == "insecure",
        login=_login(keys),
    )


def _rate(value: Value) -> float | None:
    """Requests per second; 0 is none."""
    held = value.held
    if (
        isinstance(held, bool)
        or not isinstance(held, int | float)
        or not (held == 0 or _LEAST_RATE <= held <= _MOST_RATE)
    ):
        raise value.wrong("no rate", wanted="requests per second, as in 0.5 or 20", got=value.written[:40])
    return float(held) or None


def _login(keys: Mapping[str, Value]) -> Login | None:
    if "user" not in keys and "pass" not in keys:
        return None
    for needed, other in (("user", "pass"), ("pass", "user")):
        if needed not in keys:
            raise keys[other].wrong(f"`{needed}` is missing beside `{other}`")
    return Login(gotemplate.pointer(keys["user"], secret=False), gotemplate.pointer(keys["pass"], secret=True))
