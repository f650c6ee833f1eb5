"""Powers: what this process may do to files, by its capabilities. A uid says little: root can be without them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

# <linux/capability.h>
_CHOWN, _DAC_OVERRIDE, _FOWNER, _FSETID, _SYS_ADMIN, _MKNOD, _SETFCAP = 0, 1, 3, 4, 21, 27, 31
_STATUS: Final = Path("/proc/self/status")


@dataclass(frozen=True, slots=True)
class Powers:
    """`owners`: give files to anyone and still set what they need; `devices`: make device nodes; `file_capabilities`:
    set `security.capability`; `trusted`: set `trusted.*` attributes.

    Inside a user namespace the kernel may still refuse what they promise: that is recorded then, file by file.
    """

    owners: bool = False
    devices: bool = False
    file_capabilities: bool = False
    trusted: bool = False

    @classmethod
    def of_mask(cls, mask: int) -> Self:
        """By the bits of an effective capability set."""
        # Who gives a file away must still be able to write to it and to set its mode and times, setgid included.
        owners = all(mask >> bit & 1 for bit in (_CHOWN, _DAC_OVERRIDE, _FOWNER, _FSETID))
        return cls(
            owners=owners,
            devices=owners and bool(mask >> _MKNOD & 1),
            file_capabilities=owners and bool(mask >> _SETFCAP & 1),
            trusted=bool(mask >> _SYS_ADMIN & 1),
        )

    @classmethod
    def of_status(cls, status: str) -> Self:
        """By the text of /proc/PID/status; none where it does not tell (proc(5))."""
        for line in status.splitlines():
            key, _, value = line.partition(":")
            if key == "CapEff":
                return cls.of_mask(int(value, 16))
        return cls()

    @classmethod
    def of_this_process(cls) -> Self:
        """As the kernel tells it now; none where there is no /proc."""
        try:
            return cls.of_status(_STATUS.read_text())
        except OSError:
            return cls()
