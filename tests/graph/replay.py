"""Replay: a recorded story of the original's graph, told again to ours, step by step and in its order.

Loading and exporting are other rooms' business: whoever replays such stories hands in `load` and `export`, which are
called with the names of files in the recording.
"""

import gzip
import stat
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from puller.contracts.graph import NewImage
from puller.errors import PullerError
from puller.graph.graph import DiskGraph
from puller.legacy.history import fold_layers
from puller.legacy.idchain import Candidate, id_chain
from puller.legacy.reuse import Choice
from puller.legacy.v1image import V1Image
from puller.ops.graphs.graph import Graph
from puller.ops.pulling.choosing import chosen
from puller.stream.sink import Digester
from tests.graph.recorded import from_base64, golden, layer, quiet, sentence

NOTHING = '{"Repositories":{}}'

Case: TypeAlias = dict[str, Any]
Told: TypeAlias = dict[str, Any]
Load: TypeAlias = Callable[[Graph, str], Awaitable[Told]]
Export: TypeAlias = Callable[[Graph, list[str]], Awaitable[Told]]


async def cannot(_: Graph, __: object) -> Told:
    raise NotImplementedError


@dataclass
class Replay:
    """One story over one empty graph. `told` is what came of each step, under the recording's names."""

    graph: Graph
    load: Load = cannot
    export: Export = cannot
    told: Told = field(default_factory=dict)
    log: list[str] = field(default_factory=list)

    async def run(self, case: Case) -> Told:
        """All steps of a story, and how the graph then is."""
        request = case["request"]
        images = self.graph.images
        for one in request.get("Legacy") or ():
            self._register_v1(from_base64(one["JSON"]), golden(one["Layer"]))
        for image_id, digest in request.get("LegacyDigest") or ():
            images.set_checksum(image_id, digest)
        if "Load" in request:
            self.told["load"] = [await self.load(self.graph, name) for name in request["Load"]]
        if "Layers" in request:
            self.told["pulled_in_register_order"] = await self._pull(request)
        self._name(request)
        self.told["gen_v1"] = [self._generate(image_id) for image_id in request.get("GenV1") or ()] or None
        self.told["lookup"] = [self._look_up(name) for name in request.get("Lookup") or ()] or None
        self.told["delete"] = [self._delete(name) for name in request.get("Delete") or ()] or None
        if "Export" in request:
            self.told |= await self.export(self.graph, request["Export"])
        self.told["by_parent"] = images.by_parent()
        self.told["heads"] = images.heads() or None
        self.told["graph_tree"] = tree_of(self.graph.place / "graph")
        names = self.graph.place / "repositories-vfs"
        self.told["repositories_file"] = names.read_text() if names.exists() else NOTHING
        return self.told

    def _register_v1(self, text: bytes, content: bytes) -> None:
        image = V1Image.decode(text)
        with layer(content) as blob:
            self.graph.images.register(NewImage(image.id, image.parent, image=image), blob, quiet)

    async def _pull(self, request: Case) -> list[Told]:
        chain = id_chain(fold_layers(request["Layers"], [from_base64(text) for text in request["Hist"]]))
        async with chosen(chain, self.graph, log=self.log.append) as choices:
            pairs = zip(chain, choices, strict=True)
            return [self._pulled(candidate, choice, request["Files"]) for candidate, choice in pairs]

    def _pulled(self, candidate: Candidate, choice: Choice, served: dict[str, str]) -> Told:
        parent = choice.parent or ""
        if choice.is_present:
            return {"id": choice.image_id, "parent": parent, "reused": True}
        new = NewImage(
            choice.image_id,
            parent,
            config=candidate.config,
            checksum=candidate.layer.blob,
            v1_compatibility=candidate.layer.v1_compatibility,
        )
        with layer(golden(served[candidate.layer.blob])) as blob:
            image = self.graph.images.register(new, blob, quiet)
        archive = Digester()
        for chunk in self.graph.images.layer_tar(choice.image_id):
            archive.write(chunk)
        return {
            "error": None,
            "get_parent": image.parent,
            "get_size": image.size,
            "id": image.image_id,
            "parent": parent,
            "strong_id": f"sha256:{candidate.strong_id}",
            "tarlayer_error": None,
            "tarlayer_sha256": archive.digest.hex,
            "tarlayer_size": archive.size,
        }

    def _name(self, request: Case) -> None:
        tags = self.graph.tags
        self.told["tag_results"] = [
            {"repo": repo, "tag": tag, "image": image, "error": sentence(partial(tags.tag, repo, tag, image))}
            for repo, tag, image in request.get("Tags") or ()
        ] or None
        self.told["set_digest_results"] = [
            {"repo": repo, "digest": d, "image": i, "error": sentence(partial(tags.set_digest, repo, d, i))}
            for repo, d, i in request.get("Digests") or ()
        ] or None

    def _generate(self, image_id: str) -> Told:
        text = self.graph.images.generate_v1_compatibility(image_id)
        return {"id": image_id, "error": None, "v1": text.decode()}

    def _look_up(self, name: str) -> Told:
        try:
            return {"name": name, "error": None, "id": self.graph.tags.lookup(name)}
        except PullerError as error:
            return {"name": name, "error": error.what}

    def _delete(self, name: str) -> Told:
        images = self.graph.images
        assert isinstance(images, DiskGraph)
        try:
            images.delete(images.lookup(name), orphaning=True)
        except PullerError as error:
            return {"name": name, "error": error.what.removeprefix("could not find image: ")}
        return {"name": name, "error": None}


def tree_of(graph: Path) -> list[Told]:
    """Every file below `graph/` but our own locks, as the recording lists them."""
    found = []
    for path in sorted(graph.rglob("*")):
        state = path.lstat()
        shown: Told = {
            "path": path.relative_to(graph).as_posix(),
            "mode": f"{stat.S_IMODE(state.st_mode):04o}",
            "dir": path.is_dir(),
        }
        if shown["path"].startswith("_tmp/locks"):
            continue
        if not path.is_dir():
            raw = path.read_bytes()
            shown["content"] = raw
            if path.name == "tar-data.json.gz":
                shown |= {"content": gzip.decompress(raw), "gunzipped": True}
        found.append(shown)
    return found


def recorded_tree(case: Case) -> list[Told]:
    """The recording's, with contents decoded, in the order of paths."""
    found = []
    for one in sorted(case["graph_tree"] or (), key=lambda one: one["path"].split("/")):
        shown = {name: one[name] for name in ("path", "mode", "dir", "gunzipped") if name in one}
        if not one["dir"]:
            shown["content"] = from_base64(one["content_b64"])
        found.append(shown)
    return found


def expected(case: Case) -> Told:
    """What a story's end is held to, but for its archives."""
    steps = ["load", "pulled_in_register_order", "tag_results", "set_digest_results", "gen_v1", "lookup", "delete"]
    names = [*steps, "by_parent", "heads", "repositories_file"]
    return {name: case[name] for name in names if name in case} | {"graph_tree": recorded_tree(case)}
