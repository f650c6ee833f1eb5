"""One job of a crew, as a program of its own: to be watched, or killed.

python -m tests.rootfs.crewed FOLDER ARCHIVE     unpacks ARCHIVE into FOLDER
python -m tests.rootfs.crewed FOLDER             works without end; prints the processes of its crew once they run
"""

import json
import os
import sys
from pathlib import Path

from puller.rootfs.crew import Crew
from puller.rootfs.manner import Manner
from tests.rootfs.jobs import children, endless_job, unpacked, workers
from tests.rootfs.layering import SMALL


def main(folder: Path, archive: str | None) -> None:
    """Do it."""
    with Crew(Manner(limits=SMALL)) as crew:
        if archive is not None:
            unpacked(crew, folder, Path(archive).read_bytes())
            return
        told = False

        def listen(read: int) -> None:
            nonlocal told
            if not told and workers():
                told = True
                json.dump([*children(os.getpid()), *workers()], sys.stdout)
                print(flush=True)

        with endless_job(folder) as endless:
            crew.unpack(endless, listen)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
