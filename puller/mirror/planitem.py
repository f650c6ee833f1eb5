"""Planitem: the items of a plan, read strictly: what stands there is about to be done (THREATS A5, H6)."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Final, get_args, get_type_hints

from puller.mirror.jsonvalue import JsonValue
from puller.model.digest import Digest
from puller.model.platform import Platform
from puller.model.reference import is_tag
from puller.model.sync import Action, Carried, Item, Manner, Transfer

_ITEM: Final = tuple(field.name for field in fields(Item))
_TRANSFER: Final = tuple(field.name for field in fields(Transfer))
_MANNER: Final = tuple(field.name for field in fields(Manner))
_CARRIED: Final = tuple(field.name for field in fields(Carried))
_COUNTS: Final = ("fetched", "near", "sent", "brought", "mounted", "present")
_INDEX: Final = get_args(get_type_hints(Manner)["index"])
_VERIFY: Final = get_args(get_type_hints(Manner)["verify"])
_BROUGHT: Final = ("new", "changed")


def read_item(value: JsonValue) -> Item:
    """What `Item.encode` made. Raises InvalidConfig with file and path to the value."""
    keys = value.mapping(_ITEM)
    action: Action = keys["action"].word(get_args(Action))
    transfer = keys["transfer"].maybe(_transfer)
    if (transfer is not None) != (action in _BROUGHT):
        raise keys["transfer"].wrong("there is something to bring where a tag is new or changed, and nowhere else")
    there = keys["there"].maybe(_digest)
    if action == "pruned" and there is None:
        raise keys["there"].wrong("what a pruned tag names must be known")
    return Item(
        source=_place(keys["source"]),
        tag=_name(keys["tag"]),
        target=_place(keys["target"]),
        name=_name(keys["name"]),
        action=action,
        why=keys["why"].text(),
        digest=keys["digest"].maybe(_digest),
        there=there,
        transfer=transfer,
        carried=keys["carried"].maybe(_carried),
        error=keys["error"].maybe(_plain),
        line=keys["line"].count(),
    )


def _transfer(value: JsonValue) -> Transfer:
    keys = value.mapping(_TRANSFER)
    return Transfer(
        source=_place(keys["source"]),
        digest=_digest(keys["digest"]),
        media_type=keys["media_type"].text(longest=255),
        size=keys["size"].maybe(JsonValue.count),
        target=_place(keys["target"]),
        tag=keys["tag"].maybe(_tag),
        manner=_manner(keys["manner"]),
        replaces=keys["replaces"].maybe(_digest),
        backup=keys["backup"].maybe(_tag),
    )


def _manner(value: JsonValue) -> Manner:
    keys = value.mapping(_MANNER)
    platforms = tuple(_platform(one) for one in keys["platforms"].items())
    index, verify = keys["index"].word(_INDEX), keys["verify"].word(_VERIFY)
    return Manner(platforms, index, keys["referrers"].boolean(), verify)


def _platform(value: JsonValue) -> str:
    value.read(Platform.parse)
    return value.text()


def _carried(value: JsonValue) -> Carried:
    keys = value.mapping(_CARRIED)
    counts = {name: keys[name].count() for name in _COUNTS}
    warnings = tuple(one.text() for one in keys["warnings"].items())
    return Carried(_digest(keys["root"]), **counts, seconds=keys["seconds"].number(), warnings=warnings)


def _plain(value: JsonValue) -> Mapping[str, object]:
    """An error's facts, as they are: nothing is done with them but showing them."""
    return {key: one.held for key, one in value.any_mapping().items()}


def _digest(value: JsonValue) -> str:
    return str(value.read(Digest.parse))


def _name(value: JsonValue) -> str:
    """A tag, or a digest where there is none."""
    return _digest(value) if ":" in value.text() else _tag(value)


def _tag(value: JsonValue) -> str:
    if not is_tag(value.text()):
        raise value.wrong("no tag", got=value.held)
    return value.text()


def _place(value: JsonValue) -> str:
    text = value.text()
    if not text or not text.isprintable():
        raise value.wrong("no place of images", got=text)
    return text
