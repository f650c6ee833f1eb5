"""Applied: what one layer did, and what must be known of it to set it on the layers below."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Applied:
    """What one layer did. `size` is the content of its files in bytes. All paths are true paths, in order; `b""` is
    the root.

    The rest is told of a layer that was unpacked apart from those below it. `without_entry`: directories that no entry
    names; they look like the lower directory of that name, where there is one. `hidden`: what lower layers have there
    is gone, and this layer has nothing in its place. `opaque`: directories of this layer that hide all that lower
    layers have in them. `assumed`: names led through these as if they were directories; where a lower layer has a
    symbolic link, they lead elsewhere, and the layer cannot be used in this form.
    """

    entries: int
    size: int
    without_entry: tuple[bytes, ...]
    hidden: tuple[bytes, ...] = ()
    opaque: tuple[bytes, ...] = ()
    assumed: tuple[bytes, ...] = ()

    @property
    def is_root_opaque(self) -> bool:
        """Whether the layer hides all below it."""
        return b"" in self.opaque
