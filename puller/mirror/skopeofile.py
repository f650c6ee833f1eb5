"""SkopeoFile: the YAML file of `skopeo sync --src yaml`, read as it is (skopeo: docs/skopeo-sync.1.md, sync.go).

It says what to bring, by registry; where to is said beside it. Like `skopeo sync --all`, all platforms come.
"""

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import replace

from puller.errors import InvalidConfig, PullerError
from puller.mirror import constraint, gopattern
from puller.mirror.config import COLON, TILDE, Config, Host, Mirror, Place
from puller.mirror.selection import TagRule
from puller.mirror.yamlfile import Value
from puller.model.digest import Digest
from puller.model.reference import Reference, is_registry, is_tag

IMAGES = ("images", "images-by-tag-regex", "images-by-semver")
REGISTRY = (*IMAGES, "credentials", "tls-verify", "cert-dir")


def is_skopeo(document: Value) -> bool:
    """Whether a document is of this kind: registries, of which one at least has a key of theirs."""
    held = document.held
    if not isinstance(held, Mapping) or not all(isinstance(value.held, Mapping | None) for value in held.values()):
        return False
    inner = [value.held for value in held.values() if isinstance(value.held, Mapping)]
    return all(map(_is_place, held)) and any(key in REGISTRY for keys in inner for key in keys)


def destination(text: str) -> Place:
    """Where images go: `oci:DIR`, `store:`, `store:DIR`, or `host[:port][/path]`. Raises InvalidConfig."""
    try:
        return _destination(text)
    except ValueError as error:  # those of names are, too
        what = error.what if isinstance(error, PullerError) else str(error)
        wanted = "oci:DIR, store:, store:DIR or host[:port][/path]"
        raise InvalidConfig(what, where="--to", wanted=wanted, got=text) from error


def read_skopeo(document: Value, to: Place, *, scoped: bool = False) -> Config:
    """What the file asks for, brought to `to`: below it by the last part of its name, or by all of it (`scoped`).

    Raises InvalidConfig for what cannot be done as skopeo does it.
    """
    mirrors: list[Mirror] = []
    hosts: dict[str, Host] = {}
    for registry, value in document.any_mapping().items():
        if value.held is None:
            continue
        if not _is_place(registry):
            raise value.wrong("no registry", wanted="host[:port]", got=registry)
        keys = {key: inner for key, inner in value.mapping(REGISTRY).items() if inner.held is not None}
        name, host = registry.partition("/")[0], _host(registry, keys)
        if hosts.setdefault(name, host) != host:
            raise value.wrong("one registry cannot be spoken to in two ways", got=name)
        for repository, line, rule in _rules(keys):
            mirrors.append(_mirror(repository, registry, line, rule, to, scoped=scoped))
    _refuse_clashes(document, mirrors)
    return Config(tuple(mirrors), {name: host for name, host in hosts.items() if host != Host()})


def _is_place(text: str) -> bool:
    """A registry; skopeo lets the beginning of a repository's name follow."""
    return is_registry(text.partition("/")[0])


def _destination(text: str) -> Place:
    kind, colon, rest = text.partition(":")
    if colon and kind in ("oci", "store") and rest.startswith("~"):
        raise ValueError(TILDE)
    if colon and kind == "oci" and rest:
        if ":" in rest:
            raise ValueError(COLON)
        return Place("oci", rest)
    if colon and kind == "store":
        return Place("store", rest)
    host, _, path = text.strip().rstrip("/").partition("/")
    if not is_registry(host):
        raise ValueError("no place for images")
    Reference(host, f"{path}/x" if path else "x/x")  # it must lead somewhere
    return Place("registry", f"{host}/{path}" if path else host)


def _host(registry: str, keys: Mapping[str, Value]) -> Host:
    if "credentials" in keys and keys["credentials"].held:
        hint = f"Take it out, and log in with `puller login {registry}`."
        raise keys["credentials"].wrong("a secret in the file", hint=hint)  # which is not shown
    return Host(
        insecure="tls-verify" in keys and not keys["tls-verify"].boolean(),
        certificates=keys["cert-dir"].text() if "cert-dir" in keys and keys["cert-dir"].written else None,
    )


def _rules(keys: Mapping[str, Value]) -> Iterator[tuple[str, Value, TagRule]]:
    for kind in IMAGES:
        for repository, value in keys[kind].any_mapping().items() if kind in keys else ():
            yield repository, value, _rule(kind, value)


def _rule(kind: str, value: Value) -> TagRule:
    if kind == "images":  # no tags named: all of them
        items = [] if value.held is None else value.items()
        return TagRule(exact=tuple(dict.fromkeys(item.read(_tag_or_digest) for item in items)))
    if kind == "images-by-tag-regex":
        return TagRule(allow=(value.read(gopattern.anywhere),))
    return TagRule(allow=(constraint.RELEASE,), versions=value.read(constraint.parse))


def _tag_or_digest(text: str) -> str:
    if ":" in text:
        return str(Digest.parse(text))
    if not is_tag(text):
        raise ValueError("no tag")
    return text


def _mirror(repository: str, registry: str, value: Value, rule: TagRule, to: Place, *, scoped: bool) -> Mirror:
    source = _name(value, f"{registry}/{repository}")
    if to.kind == "store":
        return Mirror(Place("registry", source), to, rule, line=value.line)
    target = f"{to.name.rstrip('/')}/{source if scoped else posixpath.basename(source)}"
    if to.kind == "registry":
        if scoped and ":" in source:
            hint = f"Without --scoped it comes to {to.name.rstrip('/')}/{posixpath.basename(source)}."
            raise value.wrong("a port in the middle of a name", got=target, hint=hint)
        _name(value, target)
    return Mirror(Place("registry", source), Place(to.kind, target), rule, line=value.line)


def _name(value: Value, text: str) -> str:
    """A repository in full (`docker.io/library/alpine`), from a name without tag or digest. Raises InvalidConfig."""
    return replace(value, held=text, written=text).read(_repository)


def _repository(text: str) -> str:
    reference = Reference.parse(text)
    if reference.tag is not None or reference.digest is not None:
        raise ValueError("a repository goes without a tag")
    return reference.name


def _refuse_clashes(document: Value, mirrors: list[Mirror]) -> None:
    """Two repositories must not come to one place under the same tags: which of them were there is chance."""
    known: dict[Place, list[Mirror]] = {}
    for mirror in mirrors:
        others = known.setdefault(mirror.target, [])
        for other in others if mirror.target.kind != "store" else ():
            if _meet(mirror, other):
                where = Value(document.file, mirror.line, "", None)
                got = f"{other.source} (line {other.line}) and {mirror.source}"
                raise where.wrong("two repositories come to one place", got=got, hint="--scoped keeps them apart.")
        others.append(mirror)


def _meet(one: Mirror, other: Mirror) -> bool:
    tags = set(one.tags.exact) & set(other.tags.exact)
    return one.source != other.source and bool(tags or not (one.tags.exact and other.tags.exact))
