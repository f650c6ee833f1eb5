"""RegsyncKey: which keys of a mapping in a regsync file say something, and what is said of those not taken over."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from puller.mirror.yamlfile import Value


def set_keys(value: Value, known: Collection[str], refused: Mapping[str, str] | None = None) -> Mapping[str, Value]:
    """The keys that are set: nothing, empty text, empty lists and empty mappings are as if not there, in Go.

    Raises InvalidConfig for others than `known`, and with its hint for each of `refused` unless it is false or 0.
    """
    refused = refused or {}
    held = {key: inner for key, inner in value.any_mapping().items() if not key.startswith("x-")}  # the writer's own
    keys = replace(value, held=held).mapping((*known, *refused))
    found = {key: inner for key, inner in keys.items() if inner.held not in (None, "", [], {})}
    for key in found.keys() & refused.keys():
        if found[key].held not in (False, 0):
            raise found[key].wrong(f"`{key}` is not taken over", hint=refused[key])
    return {key: inner for key, inner in found.items() if key not in refused}
