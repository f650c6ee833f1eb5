"""RegistriesConf: registries.conf of podman, skopeo and CRI-O, version 2, with its drop-ins; version 1 is read as well.

By containers-registries.conf(5) and containers-registries.conf.d(5), and by sysregistriesv2 of containers/image where
they leave it open. Keys that are unknown there are passed over here, as there.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias, cast

from puller.errors import InvalidConfig
from puller.model.reference import Reference, is_registry
from puller.settings.file import MAX_ITEMS, Table, is_there, read_toml
from puller.settings.places import Places
from puller.settings.registriesrule import Location, Rule, Usage

Mode: TypeAlias = Literal["enforcing", "permissive", "disabled"]

_MODES = frozenset({"enforcing", "permissive", "disabled"})
_USAGES = frozenset({"all", "digest-only", "tag-only"})
_FIRST = ("search", "insecure", "block")  # the tables of version 1


@dataclass(frozen=True, slots=True)
class RegistriesConf:
    """What all files say together. `search` None: no file says where names without a registry belong.

    `aliases` are the values as they are written, with the file of each; an empty one takes an alias away.
    """

    rules: Mapping[str, Rule] = field(default_factory=dict)
    search: tuple[str, ...] | None = None
    mode: Mode | None = None
    aliases: Mapping[str, tuple[str, Path]] = field(default_factory=dict)

    def rule(self, reference: Reference) -> Rule | None:
        """The one that speaks of `reference`: that of the longest prefix, a host's own before `*.…` of that length."""
        speaking = [rule for rule in self.rules.values() if rule.matched(reference) is not None]
        return max(speaking, key=lambda rule: (len(rule.prefix), not rule.is_wild), default=None)

    def joined(self, later: "RegistriesConf") -> "RegistriesConf":
        """With what a file that is read later says: it counts, prefix by prefix and alias by alias."""
        return RegistriesConf(
            {**self.rules, **later.rules},
            self.search if later.search is None else later.search,
            later.mode or self.mode,
            {**self.aliases, **later.aliases},
        )


def load_registries(places: Places) -> RegistriesConf:
    """What is set up; empty where nothing is. Raises InvalidConfig."""
    conf = RegistriesConf()
    for path in _files(places):
        table = read_toml(path)
        if table is None and path == places.registries_conf:
            raise InvalidConfig("the registries.conf that was named is not there", where=path)
        if table is not None:
            is_dropin = path.parent.name == "registries.conf.d"
            conf = conf.joined(parse_registries(table, is_dropin=is_dropin))
    return conf


def parse_registries(table: Table, *, is_dropin: bool = False) -> RegistriesConf:
    """What one file says. Raises InvalidConfig."""
    first = table.table("registries")
    if first is not None:
        if is_dropin:
            raise table.wrong("registries", "version 2 of the format in a drop-in")
        if any(table.has(key) for key in ("registry", "unqualified-search-registries", "short-name-mode", "aliases")):
            raise table.wrong("registries", "one version of the format, not two in one file")
        return _converted(first)
    mode = table.text("short-name-mode")
    if mode and mode not in _MODES:
        raise table.wrong("short-name-mode", "enforcing, permissive or disabled", got=mode)
    search = table.texts("unqualified-search-registries")
    return RegistriesConf(
        _rules(table),
        None if search is None else tuple(_searched(search, table)),
        cast(Mode, mode) if mode else None,
        _aliases(table),
    )


def _files(places: Places) -> Iterator[Path]:
    """All that count, the weakest first: the user's registries.conf stands for all of the machine's."""
    own = [folder / "containers" for folder in places.config]
    machine = places.etc / "containers"
    named = places.registries_conf
    user = next((folder for folder in own if is_there(folder / "registries.conf")), None)
    if named is not None:
        yield named
    elif user is not None:
        yield user / "registries.conf"
    else:
        yield machine / "registries.conf"
    if named is not None or user is None:
        yield from _dropins(machine / "registries.conf.d")
    for folder in own:
        yield from _dropins(folder / "registries.conf.d")


def _dropins(folder: Path) -> list[Path]:
    if not is_there(folder):
        return []
    try:
        files = sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise InvalidConfig("a settings folder cannot be read", where=folder, got=error.strerror) from error
    if len(files) > MAX_ITEMS:
        raise InvalidConfig("too many settings files", where=folder, wanted=f"at most {MAX_ITEMS}")
    return [path for path in files if path.suffix == ".conf" and not path.is_dir()]


def _rules(table: Table) -> dict[str, Rule]:
    rules: dict[str, Rule] = {}
    told: dict[str, Rule] = {}
    for entry in table.tables("registry"):
        rule = _rule(entry)
        other = told.setdefault(rule.location.name or rule.prefix, rule)
        if (other.location.insecure, other.blocked) != (rule.location.insecure, rule.blocked):
            raise entry.wrong("location", "`insecure` and `blocked` alike for one location", got=rule.location.name)
        rules.setdefault(rule.prefix, rule)
    return rules


def _rule(entry: Table) -> Rule:
    location, prefix = _location(entry, "location"), _location(entry, "prefix")
    is_wild = prefix.startswith("*.")
    if is_wild and any(c in prefix for c in "/@:"):
        raise entry.wrong("prefix", "a wildcard as in *.example.com", got=prefix)
    if not location and not is_wild:
        raise entry.wrong("location", "host[:port][/path]")
    if entry.has("pull-from-mirror"):
        raise entry.wrong("pull-from-mirror", "it in a [[registry.mirror]]")
    digest_only = entry.flag("mirror-by-digest-only") or False
    primary = Location(location, entry.flag("insecure") or False, entry.text("proxy"))
    mirrors = tuple(_mirror(mirror, digest_only=digest_only) for mirror in entry.tables("mirror"))
    return Rule(prefix or location, primary, mirrors, entry.flag("blocked") or False, entry.file)


def _mirror(entry: Table, *, digest_only: bool) -> Location:
    location, usage = _location(entry, "location"), entry.text("pull-from-mirror")
    if not location:
        raise entry.wrong("location", "host[:port][/path]")
    if usage and digest_only:
        raise entry.wrong("pull-from-mirror", "either it or mirror-by-digest-only of the registry")
    if usage and usage not in _USAGES:
        raise entry.wrong("pull-from-mirror", "all, digest-only or tag-only", got=usage)
    chosen = cast(Usage, usage or ("digest-only" if digest_only else "all"))
    return Location(location, entry.flag("insecure") or False, entry.text("proxy"), chosen)


def _location(entry: Table, key: str) -> str:
    text = entry.text(key).rstrip("/")
    if text.startswith(("http://", "https://")):
        raise entry.wrong(key, "host[:port][/path], without a scheme", got=text)
    host = text.partition("/")[0].partition("@")[0].removeprefix("*.")
    if text and not is_registry(host):
        raise entry.wrong(key, "host[:port][/path]", got=text)
    return text


def _searched(names: Iterable[str], table: Table, key: str = "unqualified-search-registries") -> Iterator[str]:
    for name in names:
        host = name.rstrip("/")
        if not is_registry(host):
            raise table.wrong(key, "host[:port]", got=name)
        yield host


def _aliases(table: Table) -> dict[str, tuple[str, Path]]:
    aliases = table.table("aliases")
    return {} if aliases is None else {name: (aliases.text(name), table.file) for name in aliases.values}


def _converted(first: Table) -> RegistriesConf:
    """Version 1 as one of version 2 (`ConvertToV2`)."""
    lists = {}
    for name in _FIRST:
        inner = first.table(name)
        lists[name] = (None if inner is None else inner.texts("registries")) or ()
        for host in lists[name]:
            if not is_registry(host.rstrip("/").partition("/")[0]):
                raise first.wrong(f"{name}.registries", "host[:port]", got=host)
    hosts = [host.rstrip("/") for host in (*lists["block"], *lists["insecure"])]
    insecure, blocked = ({host.rstrip("/") for host in lists[name]} for name in ("insecure", "block"))
    rules = {
        host: Rule(host, Location(host, host in insecure), (), host in blocked, first.file)
        for host in dict.fromkeys(hosts)
    }
    return RegistriesConf(rules, tuple(_searched(lists["search"], first, "search.registries")))
