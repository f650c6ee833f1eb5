"""ShortNames: what a name without a registry stands for: an alias, one of the registries that are searched, Docker Hub.

By containers-registries.conf(5), "Short-Name Aliasing", and pkg/shortnames of containers/image. Nobody is asked to
choose, and no choice is written down.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from puller.errors import InvalidConfig, InvalidReference
from puller.model.reference import Reference, short_name
from puller.settings.file import is_there, read_toml
from puller.settings.places import Places
from puller.settings.registriesconf import Mode, RegistriesConf, load_registries

_CHOSEN = Path("containers") / "short-name-aliases.conf"


@dataclass(frozen=True, slots=True)
class ShortNames:
    """Aliases as in RegistriesConf, those that podman wrote down before those of people."""

    aliases: Mapping[str, tuple[str, Path]]
    search: tuple[str, ...]
    mode: Mode

    def meanings(self, text: str) -> tuple[Reference, ...]:
        """What a name may mean, in the order to try; a name with a registry means itself.

        Raises InvalidReference, and InvalidConfig for an alias that is no name.
        """
        plain = Reference.parse(text)
        short = short_name(text)
        if short is None:
            return (plain,)
        value, file = self.aliases.get(short, ("", Path()))
        if value:
            meant = _alias(short, value, file)
            return (replace(meant, tag=plain.tag, digest=plain.digest),)
        rest = text[len(short) :]
        return tuple(dict.fromkeys(Reference.parse(f"{host}/{short}{rest}") for host in self.search)) or (plain,)

    def to_ask(self, text: str) -> tuple[Reference, ...]:
        """The same for those who ask registries. Raises InvalidReference where several are meant and must not be."""
        meant = self.meanings(text)
        return (self.one(text),) if self.mode == "enforcing" else meant

    def here(self, text: str) -> tuple[Reference, ...]:
        """The same for what is here already: it may also have its name from a time when nothing was set up."""
        return tuple(dict.fromkeys((*self.meanings(text), Reference.parse(text))))

    def one(self, text: str) -> Reference:
        """The one meaning. Raises InvalidReference where there are several."""
        meant = self.meanings(text)
        if len(meant) > 1:
            raise InvalidReference(
                "a short name that could be several images",
                got=text,
                wanted=" or ".join(map(str, meant)),
                hint="Write the one that is meant, or make it an alias in registries.conf.",
            )
        return meant[0]


def short_names(conf: RegistriesConf, places: Places) -> ShortNames:
    """What is set up. Raises InvalidConfig."""
    path = None if places.aliases is None else places.aliases / _CHOSEN
    table = read_toml(path) if path is not None and is_there(path) else None
    chosen = None if table is None else table.table("aliases")
    written = {} if chosen is None else {name: (chosen.text(name), chosen.file) for name in chosen.values}
    return ShortNames({**conf.aliases, **written}, conf.search or (), conf.mode or "permissive")


def load_short_names(places: Places) -> ShortNames:
    """The same, from the files. Raises InvalidConfig."""
    return short_names(load_registries(places), places)


def _alias(short: str, value: str, file: Path) -> Reference:
    where = f"{file}: aliases.{short}"
    try:
        meant = Reference.parse(value)
    except InvalidReference as error:
        raise InvalidConfig("an alias is no name of an image", where=where, got=value) from error
    if meant.tag or meant.digest or short_name(value) is not None:
        raise InvalidConfig("an alias is no name of a repository", where=where, wanted="registry/repository", got=value)
    return meant
