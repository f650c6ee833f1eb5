"""Completing: what a word of the command line may become, said to click as `shell_complete`.

None of it is for a registry to say: a key press asks nobody on the net, and waits for nobody.
"""

from collections.abc import Iterable
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from puller.model.reference import Reference

_PLATFORMS = ("amd64", "arm64", "arm/v7", "arm/v6", "386", "ppc64le", "riscv64", "s390x")
_LEAST = 2  # digits before IDs are offered: the rest are words, more often
_SHORT = 12


def references(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of images that are here, but for those that stand in the line already."""
    given = context.params.get(parameter.name or "") or ()
    return [CompletionItem(word) for word in _spelled(_names(context), incomplete) if word not in given]


def images(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The same, and IDs where the word may be one."""
    return references(context, parameter, incomplete) + _ids(context, incomplete)


def trees(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The same, and directories where nothing of that begins so."""
    return [*images(context, parameter, incomplete), CompletionItem(incomplete, type="dir")]


def places(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Places of images: names that are here, or after the word for a kind of place what can follow it."""
    kind, colon, rest = incomplete.partition(":")
    if colon and kind == "oci":
        return [CompletionItem(rest, type="dir")]
    if colon and kind in ("oci-archive", "docker-archive"):
        return [CompletionItem(rest, type="file")]
    if colon and kind == "store":
        return [CompletionItem(f"store:{word}") for word in _spelled(_names(context), rest)]
    return references(context, parameter, incomplete)


def repositories(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Repositories of which there are images here."""
    bare = [Reference(one.registry, one.repository) for one in _names(context)]
    return [CompletionItem(word) for word in _spelled(dict.fromkeys(bare), incomplete)]


def registries(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Registries from which there are images here."""
    hosts = dict.fromkeys(one.registry for one in _names(context))
    return [CompletionItem(host) for host in hosts if host.startswith(incomplete)]


def hosts(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Registries, and repositories of theirs."""
    return registries(context, parameter, incomplete) + repositories(context, parameter, incomplete)


def files(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Files."""
    return [CompletionItem(incomplete, type="file")]


def platforms(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Platforms that many images are made for."""
    return [CompletionItem(f"linux/{one}") for one in _PLATFORMS if f"linux/{one}".startswith(incomplete)]


def first_words(context: click.Context, pull: click.Command, incomplete: str) -> list[CompletionItem]:
    """What may stand in the place of a verb: the words of the default one."""
    if incomplete.startswith("-"):
        own = click.Context(pull, info_name=pull.name, parent=context, resilient_parsing=True)
        return pull.shell_complete(own, incomplete)
    return [CompletionItem(word) for word in _spelled(_names(context), incomplete)]


def _names(context: click.Context) -> list[Reference]:
    from puller.cli.glimpse import names

    return names(*_places(context))


def _places(context: click.Context) -> tuple[Path, Path | None]:
    from puller.cli.environment import store_path

    store, graph = context.params.get("store"), context.params.get("graph")
    place = store_path(store.expanduser() if isinstance(store, Path) else None)
    return place, graph.expanduser() if isinstance(graph, Path) else None


def _spelled(names: Iterable[Reference], incomplete: str) -> list[str]:
    """Names as people type them, or in full where none that begins so can be meant but in full."""
    names = [*names]
    familiar = [word for word in map(Reference.familiar, names) if word.startswith(incomplete)]
    return familiar or [word for word in map(str, names) if word.startswith(incomplete)]


def _ids(context: click.Context, incomplete: str) -> list[CompletionItem]:
    """IDs that begin so: short ones, as they are shown, as long as that is enough."""
    prefix = "sha256:" if incomplete.startswith("sha256:") else ""
    digits = incomplete.removeprefix(prefix)
    if len(digits) < _LEAST or not set(digits) <= set("0123456789abcdef"):
        return []
    from puller.cli.glimpse import ids

    whole = bool(prefix) or len(digits) > _SHORT
    found = {image_id: name for image_id, name in ids(*_places(context)).items() if image_id.startswith(digits)}
    return [
        CompletionItem(prefix + (image_id if whole else image_id[:_SHORT]), help=name or None)
        for image_id, name in sorted(found.items())
    ]
