"""Formats: which of three kinds a file is, by its keys: ours, regsync's, skopeo's."""

from collections.abc import Mapping

from puller.errors import InvalidConfig
from puller.mirror import ourformat
from puller.mirror.config import Config, Place
from puller.mirror.yamlfile import load


def read(
    raw: bytes,
    file: str,
    to: Place | None = None,
    *,
    scoped: bool = False,
    environment: Mapping[str, str] | None = None,
) -> Config:
    """The configuration in a file of any of the three kinds.

    `to` and `scoped` say where a skopeo file's images go, and are for those alone. `environment` is for the templates
    of regsync files. Raises InvalidConfig with file and line of whatever is wrong or not done here.
    """
    document = load(raw, file, aliases=True)
    held = document.held if isinstance(document.held, Mapping) else {}
    ours = held.get("puller")
    if ours is None or isinstance(ours.held, Mapping | None):  # so may a registry of skopeo's be called
        from puller.mirror.skopeofile import is_skopeo, read_skopeo  # these only now: most files are our own

        if is_skopeo(document):
            if to is None:
                hint = "Say --to oci:DIR or --to HOST/PATH."
                raise document.wrong("a file of skopeo's says what to bring, and not where to", hint=hint)
            return read_skopeo(document, to, scoped=scoped)
    if to is not None or scoped:
        raise document.wrong("this file says itself where images go", hint="--to and --scoped are for files of skopeo.")
    if ours is not None:
        return ourformat.read(load(raw, file))  # once more, by its own stricter rules
    from puller.mirror.regsync import is_regsync, read_regsync

    if is_regsync(document):
        return read_regsync(document, environment or {})
    raise InvalidConfig(
        "no configuration of a sync",
        where=file,
        wanted="`puller: 1`, regsync's `version: 1` with `sync`, or skopeo's registries with `images`",
        got=", ".join(list(held)[:5])[:120] or "none of their keys",
        hint="`puller: 1` says that the file is one of ours." if "mirrors" in held else "",
    )
