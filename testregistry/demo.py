"""The first five minutes: a registry with an image of real files, and `python -m puller` pulling it. No network needed.

The files are this interpreter's own library, in layers of gzip and zstd. One line is cut on purpose, so that the
client's resuming is part of the show.
"""

from __future__ import annotations

import asyncio
import platform
import shlex
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

from testregistry import faults, images
from testregistry.app import serve
from testregistry.images import Image
from testregistry.layers import Compression, Entry, File

# Folders of the standard library, grouped into layers; "" is the files that lie directly in it.
LAYERS: tuple[tuple[Compression, tuple[str, ...]], ...] = (
    ("gzip", ("", "collections", "encodings", "importlib", "json", "re")),
    ("zstd", ("asyncio", "concurrent", "email", "html", "http", "urllib", "xml", "xmlrpc")),
    ("gzip", ("ctypes", "distutils", "lib2to3", "logging", "multiprocessing", "sqlite3", "unittest", "wsgiref")),
    ("gzip", ("ensurepip", "idlelib", "pydoc_data", "tkinter", "turtledemo", "venv", "zoneinfo", "lib-dynload")),
)
LIMIT = 16 << 20  # bytes of files per layer: a demonstration, not a benchmark


def library_image() -> Image:
    """Make an image of the standard library of the interpreter that runs this."""
    library = Path(sysconfig.get_path("stdlib"))
    layers = [images.layer(dict(_files(library, folders)), compression) for compression, folders in LAYERS]
    return images.image(*layers, platform=("linux", _architecture()))


async def demonstrate() -> int:
    """Serve the image, pull it, look at it, verify it; the exit code of the first command that fails, else 0."""
    image = library_image()
    name = f"demo/python:{sys.version_info.major}.{sys.version_info.minor}"
    biggest = max(image.layers, key=lambda layer: layer.size)
    with tempfile.TemporaryDirectory(prefix="puller-demo-") as folder:
        async with serve(faults=[faults.cut(biggest.digest, after=biggest.size // 2)]) as registry:
            registry.add(name, image)
            reference, store = registry.name(name), f"{folder}/store"
            for words in (
                ["pull", reference, "--store", store],
                ["pull", reference, "--store", store],
                ["images", "--store", store],
                ["verify", "--all", "--store", store],
            ):
                code = await _run(words)
                if code != 0:
                    return code
    return 0


async def _run(words: list[str]) -> int:
    shown = words[1:] if words[0] == "pull" else words
    sys.stderr.write(f"\n$ python -m puller {shlex.join(shown)}\n")
    sys.stderr.flush()
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "puller", *words)
    return await process.wait()


def _files(library: Path, folders: tuple[str, ...]) -> Iterator[tuple[str, Entry]]:
    root = f"usr/lib/{library.name}"
    left = LIMIT
    for folder in folders:
        files = sorted((library / folder).glob("*") if not folder else (library / folder).rglob("*"))
        for path in files:
            if not path.is_file() or "__pycache__" in path.parts or path.stat().st_size > left:
                continue
            data = path.read_bytes()
            left -= len(data)
            yield f"{root}/{path.relative_to(library)}", File(data, mtime=int(path.stat().st_mtime))


def _architecture() -> str:
    machine = platform.machine()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


if __name__ == "__main__":
    sys.exit(asyncio.run(demonstrate()))
