"""Images for the command line: of this machine's architecture, so that no --platform is needed."""

import os

from testregistry import images

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
PLATFORM = ("linux", ARCHITECTURE)
BASE = images.layer({"etc/motd": b"hello\n" * 100})
TOP = images.layer({"srv/app.py": b"print('app')\n"})
IMAGE = images.image(BASE, TOP, platform=PLATFORM)
OLD = images.schema1(BASE, TOP, architecture=ARCHITECTURE)
FOREIGN = images.image(TOP, platform=("linux", "s390x"))
