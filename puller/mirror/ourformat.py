"""Ourformat: the configuration of syncs as this program defines it, `puller: 1` (see docs/mirror.schema.json)."""

import re
from collections.abc import Mapping
from datetime import timedelta

from puller.errors import InvalidDigest
from puller.mirror.config import COLON, RECHECK, TILDE, Config, Host, Index, Login, Mirror, Place, Pointer, Prune
from puller.mirror.selection import NameRule, TagRule
from puller.mirror.version import Range
from puller.mirror.yamlfile import Value
from puller.model.digest import Digest
from puller.model.platform import Platform
from puller.model.reference import Reference, is_registry, is_tag, short_name

TOP = ("puller", "registries", "mirrors", "jobs")
HOST = ("rate", "concurrency", "plain-http", "insecure", "cert-dir", "login")
LOGIN = ("user", "password")
POINTER = ("env", "file")
MIRROR = (
    *("from", "to", "repositories", "tags", "as", "platforms", "index", "schedule", "referrers"),
    *("immutable", "prune", "verify", "backup", "reserve", "recheck"),
)
REPOSITORIES = ("allow", "deny")
TAGS = ("exact", "allow", "deny", "semver", "suffix", "prereleases", "newest", "by", "max-age")
PRUNE = ("enabled", "keep", "max", "grace")
_AGE = re.compile(r"([0-9]{1,6})([hdw])", re.ASCII)
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_RATE = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)/(s|m|h)", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600}
_SHARE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,2})?)%", re.ASCII)


def read(document: Value) -> Config:
    """The configuration in a document of this format. Raises InvalidConfig with file, line and the way to the value."""
    top = document.mapping(TOP)
    if "puller" not in top or top["puller"].held != 1 or top["puller"].held is True:  # which equals 1
        raise top.get("puller", document).wrong("another version of the format", wanted="puller: 1")
    if "mirrors" not in top:
        raise document.wrong("nothing to mirror", wanted="`mirrors`, a list")
    hosts = {name: _host(name, value) for name, value in _named(top, "registries").items()}
    mirrors = tuple(_mirror(value) for value in top["mirrors"].items())
    jobs = top["jobs"].integer(least=1) if "jobs" in top else 3
    return Config(mirrors, hosts, jobs)


def place(value: Value) -> Place:
    """Where images are: `oci:DIR`, `store:` or `store:DIR`, else a repository. Raises InvalidConfig."""
    text = value.text()
    kind, colon, rest = text.partition(":")
    if colon and kind in ("oci", "store") and rest.startswith("~"):
        raise value.wrong(TILDE, got=text)
    if colon and kind == "oci":
        if not rest:
            raise value.wrong("no directory", wanted="oci:DIR")
        if ":" in rest:
            raise value.wrong(COLON, wanted="oci:DIR", got=text, hint="Tags stay what they are, or see `as`.")
        return Place("oci", rest)
    if colon and kind == "store":
        return Place("store", rest)
    if text.startswith(("/", ".", "~")):
        raise value.wrong("a path", wanted="a repository, or oci:DIR", got=text, hint=f"As a directory: oci:{text}")
    name = text.replace("*", "x") if "*" in text else text
    reference = value.read(lambda _: Reference.parse(name))  # a pattern is a name but for its star
    if reference.tag is not None or reference.digest is not None:
        raise value.wrong("a repository goes without a tag", got=text, hint="Tags are chosen under `tags`.")
    return Place("registry", text if "*" in text else reference.name)


def patterns(value: Value) -> tuple[re.Pattern[str], ...]:
    """Regular expressions. Raises InvalidConfig."""
    found = []
    for item in value.items() if isinstance(value.held, list) else [value]:
        try:
            found.append(re.compile(item.text()))
        except re.error as error:
            raise item.wrong("no regular expression", got=f"{item.text()[:80]}: {error}") from error
    return tuple(found)


def age(value: Value) -> timedelta:
    """`90d`, `12h`, `2w`. Raises InvalidConfig."""
    match = _AGE.fullmatch(value.text())
    if match is None:
        text = value.text()[:40]
        hint = f"With its unit: {text}h, {text}d or {text}w." if text.isdecimal() else ""
        raise value.wrong("no length of time", wanted="as in 12h, 90d or 2w", got=text, hint=hint)
    return int(match[1]) * _UNITS[match[2]]


def schedule(value: Value) -> str:
    """A schedule, as it is written. Raises InvalidConfig."""
    from puller.mirror.schedule import Schedule  # only now: most files have none

    value.read(Schedule.parse)
    return value.text()


def backup(value: Value) -> str:
    """A tag, in which `{tag}` may stand for another. Raises InvalidConfig."""
    if not is_tag(value.text().replace("{tag}", "x")):
        raise value.wrong("no tag to keep what is overwritten", wanted="as in before-{tag}", got=value.text()[:140])
    return value.text()


def _named(top: Mapping[str, Value], key: str) -> Mapping[str, Value]:
    return top[key].any_mapping() if key in top else {}


def _host(name: str, value: Value) -> Host:
    if not is_registry(name):
        raise value.wrong("no registry", wanted="host[:port]", got=name)
    keys = value.mapping(HOST)
    return Host(
        rate=_rate(keys["rate"]) if "rate" in keys else None,
        concurrency=keys["concurrency"].integer(least=1) if "concurrency" in keys else None,
        plain_http="plain-http" in keys and keys["plain-http"].boolean(),
        insecure="insecure" in keys and keys["insecure"].boolean(),
        certificates=keys["cert-dir"].text() if "cert-dir" in keys else None,
        login=_login(keys["login"]) if "login" in keys else None,
    )


def _login(value: Value) -> Login:
    keys = value.mapping(LOGIN)
    for needed in LOGIN:
        if needed not in keys:
            raise value.wrong(f"`{needed}` is missing")
    if not isinstance(keys["password"].held, Mapping):
        hint = "Write {env: NAME} or {file: PATH}; or leave `login` out, and log in with `puller login`."
        raise keys["password"].wrong("a secret in the file", hint=hint)  # which is not shown
    return Login(_pointer(keys["user"]), _pointer(keys["password"]))


def _pointer(value: Value) -> Pointer:
    if not isinstance(value.held, Mapping):
        return Pointer("text", value.text())
    keys = value.mapping(POINTER)
    if len(keys) != 1:
        raise value.wrong("one place is wanted", wanted="{env: NAME} or {file: PATH}")
    return Pointer("env", keys["env"].text()) if "env" in keys else Pointer("file", keys["file"].text())


def _rate(value: Value) -> float:
    match = _RATE.fullmatch(value.text())
    if match is None or float(match[1]) == 0:
        raise value.wrong("no rate", wanted="as in 5/s, 100/m or 1000/h", got=value.text()[:40])
    return float(match[1]) / _SECONDS[match[2]]


def _mirror(value: Value) -> Mirror:
    keys = value.mapping(MIRROR)
    for needed in ("from", "to"):
        if needed not in keys:
            raise value.wrong(f"`{needed}` is missing")
    source, target = place(keys["from"]), place(keys["to"])
    if target.kind == "registry" and not _names_registry(keys["to"].text()):
        # Elsewhere it would be one of Docker Hub: a slip of the pen is not to push there.
        hint = f"At Docker Hub: {target.name}; a directory: oci:{keys['to'].text()}"
        raise keys["to"].wrong("no registry", wanted="HOST/NAME", got=keys["to"].text(), hint=hint)
    if source.kind != "registry":
        raise keys["from"].wrong("only registries can be mirrored from", got=str(source))
    if ("*" in source.name) != ("*" in target.name) and target.kind == "registry":
        raise keys["to"].wrong("`*` must stand in both names, or in none", got=target.name)
    if "repositories" in keys and "*" not in source.name:
        raise keys["repositories"].wrong("`repositories` chooses among those of a pattern", got=f"from: {source}")
    tags = _tags(keys["tags"]) if "tags" in keys else TagRule()
    return Mirror(
        source,
        target,
        repositories=_repositories(keys["repositories"]) if "repositories" in keys else NameRule(),
        tags=tags,
        renamed=_renamed(keys["as"], tags) if "as" in keys else None,
        platforms=_platforms(keys["platforms"]) if "platforms" in keys else (),
        index=_index(keys) if "index" in keys else "sparse",
        schedule=schedule(keys["schedule"]) if "schedule" in keys else None,
        referrers="referrers" in keys and keys["referrers"].boolean(),
        immutable=patterns(keys["immutable"]) if "immutable" in keys else (),
        prune=_prune(keys["prune"]) if "prune" in keys else None,
        verify="deep" if "verify" in keys and _one_of(keys["verify"], "digest", "deep") == "deep" else "digest",
        backup=backup(keys["backup"]) if "backup" in keys else None,
        reserve=keys["reserve"].integer() if "reserve" in keys else 0,
        recheck=age(keys["recheck"]) if "recheck" in keys else RECHECK,
        line=value.line,
    )


def _names_registry(text: str) -> bool:
    return short_name(text.replace("*", "x")) is None


def _platforms(value: Value) -> tuple[Platform, ...]:
    items = value.items() if isinstance(value.held, list) else [value]
    return tuple(item.read(Platform.parse) for item in items)


def _index(keys: Mapping[str, Value]) -> Index:
    value = keys["index"]
    word = _one_of(value, "sparse", "rewritten", "single")
    chosen = len(_platforms(keys["platforms"])) if "platforms" in keys else 0
    if not chosen or (word == "single" and chosen > 1):
        what = (
            "`single` goes with one platform"
            if chosen
            else "`index` says what becomes of one where `platforms` are chosen"
        )
        raise value.wrong(what, got=f"{chosen} platforms")
    return "rewritten" if word == "rewritten" else "single" if word == "single" else "sparse"


def _repositories(value: Value) -> NameRule:
    keys = value.mapping(REPOSITORIES)
    return NameRule(*(patterns(keys[key]) if key in keys else () for key in REPOSITORIES))


def _renamed(value: Value, tags: TagRule) -> str:
    if len(tags.exact) != 1 or tags.lists:
        raise value.wrong("`as` renames one tag, which `tags` names", wanted="tags: [one]")
    if not is_tag(value.text()):
        raise value.wrong("no tag", got=value.text()[:140])
    return value.text()


def _tags(value: Value) -> TagRule:
    if isinstance(value.held, list):
        return TagRule(exact=tuple(_tag(item) for item in value.items()))
    if value.written:
        hint = f'One tag is a list, too: tags: ["{value.written}"]' if is_tag(value.written) else ""
        raise value.wrong("no choice of tags", wanted="a list, or a mapping", got=value.written[:140], hint=hint)
    keys = value.mapping(TAGS)
    if "by" in keys and "newest" not in keys:
        raise keys["by"].wrong("`by` says what `newest` goes by, and there is no `newest`")
    return TagRule(
        exact=tuple(_tag(item) for item in keys["exact"].items()) if "exact" in keys else (),
        allow=patterns(keys["allow"]) if "allow" in keys else (),
        deny=patterns(keys["deny"]) if "deny" in keys else (),
        versions=keys["semver"].read(Range.parse) if "semver" in keys else None,
        suffix=keys["suffix"].text() if "suffix" in keys else "",
        prereleases="prereleases" in keys and keys["prereleases"].boolean(),
        newest=keys["newest"].integer(least=1) if "newest" in keys else None,
        newest_by="created" if "by" in keys and _one_of(keys["by"], "version", "created") == "created" else "version",
        max_age=age(keys["max-age"]) if "max-age" in keys else None,
    )


def _tag(value: Value) -> str:
    """A tag, or a digest."""
    text = value.text()
    if ":" in text:
        try:
            return str(Digest.parse(text))
        except InvalidDigest as error:
            raise value.wrong("neither a tag nor a digest", wanted=str(error.wanted), got=text[:140]) from error
    if not is_tag(text):
        raise value.wrong("no tag", got=text[:140])
    return text


def _prune(value: Value) -> Prune | None:
    keys = value.mapping(PRUNE)
    if "enabled" not in keys or not keys["enabled"].boolean():
        return None
    most, share = _limit(keys["max"]) if "max" in keys else (None, Prune().share)
    return Prune(
        keep=keys["keep"].integer() if "keep" in keys else 1,
        most=most,
        share=share,
        grace=age(keys["grace"]) if "grace" in keys else timedelta(0),
    )


def _limit(value: Value) -> tuple[int | None, float | None]:
    """How many tags one run may remove: a number, or a share of all as in `10%`."""
    if isinstance(value.held, int) and not isinstance(value.held, bool):
        return value.integer(), None
    match = _SHARE.fullmatch(value.text())
    if match is None or float(match[1]) > 100:
        raise value.wrong("no limit", wanted="a number, or a share as in 10%", got=value.text()[:40])
    return None, float(match[1]) / 100


def _one_of(value: Value, *words: str) -> str:
    if value.text() not in words:
        raise value.wrong("an unknown word", wanted=" or ".join(words), got=value.text()[:40])
    return value.text()
