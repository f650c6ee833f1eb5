"""Regsync: the files of regclient's regsync, `version: 1`, read as they are (regclient: docs/regsync.md,
cmd/regsync/config.go and root.go).

Whatever would be done otherwise here is refused by name. Secrets are pointed at, never held: see `gotemplate.pointer`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from puller.mirror import duration, gopattern, gotemplate
from puller.mirror.config import Config, Index, Mirror, Place
from puller.mirror.ourformat import backup, schedule
from puller.mirror.regsynchost import hosts_of
from puller.mirror.regsynckey import set_keys
from puller.mirror.regsyncname import image, registry, repository
from puller.mirror.schedule import Schedule
from puller.mirror.selection import NameRule, TagRule
from puller.mirror.yamlfile import Value
from puller.model.platform import Platform

TOP = ("version", "creds", "defaults", "sync")
_SHARED = ("backup", "interval", "schedule", "ratelimit", "digestTags", "referrers", "fastCheck", "mediaTypes")
_REFUSED = {
    "referrerFilters": "All referrers come, or none.",
    "referrerSource": "Referrers come from where the image does.",
    "referrerTarget": "Referrers go where the image does.",
    "referrerSlow": "The API is asked, or the fallback tag where there is none.",
    "forceRecursive": "Leave it out; `verify: deep` in a file of this program looks at everything.",
    "includeExternal": "Layers that are kept elsewhere stay there.",
    "hooks": "Run the command when `puller sync` has ended; its report says what was done.",
}
_GENERAL = {
    "blobLimit": "Leave it out: documents are bounded already.",
    **dict.fromkeys(("cacheCount", "cacheTime"), "Leave it out: nothing is asked for twice in a run."),
    "skipDockerConfig": "Say --authfile FILE to use other credentials.",
    "userAgent": "The program says who it is.",
}
_ENTRY = ("source", "target", "type", "tags", "tagSets", "repos", "platform", "platforms", *_SHARED)
_SEMVER = {"semverRange": "It orders tags with a suffix in a way of its own; write `allow` patterns."}
# What regsync copies where `mediaTypes` says nothing; more than that makes no difference here.
_MEDIA_TYPES = {
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
}
_EVERY = "@every "


def is_regsync(document: Value) -> bool:
    """Whether a document is of this kind."""
    return isinstance(document.held, Mapping) and bool({"sync", "version", "creds", "defaults"} & document.held.keys())


def read_regsync(document: Value, environment: Mapping[str, str]) -> Config:
    """The configuration in a document of regsync's; `environment` is for its templates. Raises InvalidConfig."""
    top = set_keys(document, TOP)
    if "version" in top and top["version"].held not in (0, 1):
        raise top["version"].wrong("another version of the format", wanted="version: 1")
    if "sync" not in document.any_mapping():
        raise document.wrong("nothing to mirror", wanted="`sync`, a list")
    defaults = set_keys(top["defaults"], (*_SHARED, "parallel"), _REFUSED | _GENERAL) if "defaults" in top else {}
    steps = top["sync"].items() if "sync" in top else []
    entries = [_Entry.of(value, defaults, environment) for value in steps]
    hosts = hosts_of(top["creds"], environment) if "creds" in top else {}
    jobs = max(1, defaults["parallel"].integer(least=-(1 << 31))) if "parallel" in defaults else 1  # as config.go
    return Config(tuple(mirror for entry in entries for mirror in entry.mirrors()), hosts, jobs)


@dataclass(frozen=True, slots=True)
class _Entry:
    """One step of `sync`: its keys, with those of `defaults` for what it does not say itself."""

    value: Value
    keys: Mapping[str, Value]
    source: Value  # templates are filled in
    target: Value

    @classmethod
    def of(cls, value: Value, defaults: Mapping[str, Value], environment: Mapping[str, str]) -> "_Entry":
        keys = set_keys(value, _ENTRY, _REFUSED)
        for needed in ("source", "target", "type"):
            if needed not in keys:
                raise value.wrong(f"`{needed}` is missing")
        times = {"schedule", "interval"}
        taken = {"parallel", *keys, *(times if times & keys.keys() else ())}
        merged = {**{key: inner for key, inner in defaults.items() if key not in taken}, **keys}
        source = _filled(keys["source"], environment, {})
        fields = {".Sync.Source": source.text(), ".Sync.Type": keys["type"].text()}
        return cls(value, merged, source, _filled(keys["target"], environment, fields))

    def mirrors(self) -> Iterator[Mirror]:
        """What it asks for: one mirror for each set of tags, since a tag need be in one of them alone."""
        self._check_media_types()
        self._is_set("fastCheck")  # what has not changed is not asked about again, with or without
        platforms, index = self._platforms()
        placed = replace(
            self._placed(),
            platforms=platforms,
            index=index,
            schedule=self._schedule(),
            referrers=any([self._is_set("referrers"), self._is_set("digestTags")]),
            backup=self._backup(),
            reserve=self._reserve(),
            line=self.value.line,
        )
        if placed.tags.exact:
            yield placed
        else:
            yield from (replace(placed, tags=rule) for rule in self._rules())

    def _placed(self) -> Mirror:
        """Source and target, and what is said with them."""
        match self.keys["type"].text():
            case "image":
                self._refuse("tags", "tagSets", "repos")
                return self._image()
            case "repository":
                self._refuse("repos")
                return Mirror(self._from(repository(self.source)), repository(self.target))
            case "registry":
                chosen = _allow_deny(self.keys["repos"]) if "repos" in self.keys else NameRule()
                return Mirror(self._from(registry(self.source)), registry(self.target), repositories=chosen)
            case other:
                wanted = "image, repository or registry"
                raise self.keys["type"].wrong("an unknown word", wanted=wanted, got=other[:40])

    def _image(self) -> Mirror:
        source, target = image(self.source), image(self.target)
        if target.digest:
            raise self.target.wrong("a target goes by a tag", got=self.target.text())
        named = source.digest or source.tag
        renamed = target.tag if target.tag != named else None
        return Mirror(self._from(source.place), target.place, TagRule(exact=(named,)), renamed=renamed)

    def _from(self, place: Place) -> Place:
        if place.kind != "registry":
            raise self.source.wrong("only registries can be mirrored from", got=self.source.text())
        return place

    def _refuse(self, *names: str) -> None:
        for name in names:
            if name in self.keys:
                got = f"type: {self.keys['type'].text()}"
                raise self.keys[name].wrong(f"`{name}` chooses nothing here", got=got)

    def _rules(self) -> Iterator[TagRule]:
        sets = self.keys["tagSets"].items() if "tagSets" in self.keys else []
        rules = [_allow_deny(value, _SEMVER) for value in sets]
        alone = _allow_deny(self.keys["tags"], _SEMVER) if "tags" in self.keys else NameRule()
        if alone != NameRule() or not rules:
            rules.append(alone)
        yield from (TagRule(allow=rule.allow, deny=rule.deny) for rule in rules)

    def _platforms(self) -> tuple[tuple[Platform, ...], Index]:
        if "platform" not in self.keys:
            items = self.keys["platforms"].items() if "platforms" in self.keys else []
            return tuple(item.read(Platform.parse) for item in items), "sparse"
        if "platforms" in self.keys:
            raise self.keys["platforms"].wrong("`platforms` says nothing beside `platform`")
        return (self.keys["platform"].read(Platform.parse),), "single"

    def _schedule(self) -> str | None:
        """`schedule` comes before `interval`, as there."""
        key = "schedule" if "schedule" in self.keys else "interval"
        if key not in self.keys:
            return None
        value = self.keys[key]
        text = value.text()
        if key == "interval" or text.startswith(_EVERY):
            return replace(value, written=text.removeprefix(_EVERY)).read(_interval)
        return schedule(value)

    def _backup(self) -> str | None:
        if "backup" not in self.keys:
            return None
        value = self.keys["backup"]
        text = gotemplate.expand(value, {}, {".Ref.Tag": "{tag}"}).strip()
        if "/" in text or ":" in text:
            hint = "A tag keeps it, in the same repository."
            raise value.wrong("a backup in another place is not taken over", got=text[:140], hint=hint)
        return backup(replace(value, held=text, written=text))

    def _reserve(self) -> int:
        """How many pulls must be left at the source; how often to look again is not for this program to say."""
        if "ratelimit" not in self.keys:
            return 0
        limit = set_keys(self.keys["ratelimit"], ("min", "retry"))
        if "retry" in limit:
            limit["retry"].read(duration.parse)
        return limit["min"].integer() if "min" in limit else 0

    def _check_media_types(self) -> None:
        missing = _MEDIA_TYPES - set(self.keys["mediaTypes"].texts()) if "mediaTypes" in self.keys else None
        if missing:
            what = "images cannot be left out by their media type"
            raise self.keys["mediaTypes"].wrong(what, wanted=f"{min(missing)} among them")

    def _is_set(self, key: str) -> bool:
        return key in self.keys and self.keys[key].boolean()


def _filled(value: Value, environment: Mapping[str, str], fields: Mapping[str, str]) -> Value:
    text = gotemplate.expand(value, environment, fields)
    return replace(value, held=text, written=text)


def _allow_deny(value: Value, refused: Mapping[str, str] | None = None) -> NameRule:
    keys = set_keys(value, ("allow", "deny"), refused)
    read = {key: tuple(item.read(gopattern.whole) for item in inner.items()) for key, inner in keys.items()}
    return NameRule(**read)


def _interval(text: str) -> str:
    found = duration.every(duration.parse(text))
    Schedule.parse(found)  # nobody waits for years
    return found
