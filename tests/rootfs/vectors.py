"""Attacks on unpackers that were found before, told anew: moby, containerd, umoci, oras-go, apko, CPython.

Each is one or more layers applied in order; what follows is a refusal or a tree, and never anything outside. `control`
is an honest layer of the same shape, which must work. Layouts and wording are our own (EXTRACTION.md §4, §5).
"""

from puller.errors import InvalidArchive, LimitExceeded, UnsafePath
from puller.stream.tarentry import BLOCK_DEVICE, CHARACTER_DEVICE, FIFO, HARD_LINK, REGULAR, SYMLINK
from tests.rootfs.layering import DIR, device, entry, fifo, file, folder, hardlink, layer, symlink
from tests.rootfs.link_vectors import hard_links, second_operations, symlinks
from tests.rootfs.vector import CLIMB, Vector, attack, refused


def _names() -> list[Vector]:
    bad = {
        "moby_dotdot": "../victim/dotdot",
        "moby_slash_dotdot": "/../victim/slash-dotdot",
        "up": "..",
        "pwned": "../pwned",
        "pwned_twice": "../../pwned",
        "sibling_of_the_same_prefix": "../dest-evil/file",
        "containerd_parent_relative": "x/sub/..",
        "umoci_up_in_the_middle": "a/../../victim/hello",
        "containerd_whiteout_relative_path": "dne/../.wh.etc",
    }
    return [
        refused(
            f"f1_{name}",
            [file(path, "bad")],
            UnsafePath,
            [file(f"..{i}/..x", "ok")],
            {f"..{i}": DIR, f"..{i}/..x": "'ok'"},
        )
        for i, (name, path) in enumerate(bad.items())
    ]


def _scoped() -> list[Vector]:
    made = {"etc": DIR, "etc/f": "'in'"}
    shapes = ("etc/f", "/etc/f", "//etc//f", "./etc/f", "etc/./f", "./././etc/f", "/./etc/f", ".//etc/f")
    return [attack(f"f1_umoci_shape_{i}", file(shape, "in"), gives=made) for i, shape in enumerate(shapes)]


def _roots() -> list[Vector]:
    kinds = {
        "file": REGULAR,
        "symlink": SYMLINK,
        "hard_link": HARD_LINK,
        "fifo": FIFO,
        "char": CHARACTER_DEVICE,
        "block": BLOCK_DEVICE,
    }
    named = {"dot": ".", "slash": "/", "dot_slash_dot": "./.", "slashes": "//", "empty": ""}
    found = [
        refused(
            f"f4_{word}_as_{kind}",
            [entry(name, code, link="../victim" if code in (SYMLINK, HARD_LINK) else "")],
            UnsafePath,
            [folder(name or "."), file("f", "1")],
            {"f": "'1'"},
        )
        for word, name in named.items()
        for kind, code in kinds.items()
        if not (code == REGULAR and name.endswith("/"))
    ]
    climbing = [
        refused(f"f4_up_again_as_{kind}", [entry("a/..", code, link="x")], UnsafePath, [file("a", "1")], {"a": "'1'"})
        for kind, code in kinds.items()
    ]
    return [*found, *climbing]


def _whiteouts() -> list[Vector]:
    lower = layer(
        folder("d"), file("d/x", "1"), file("etc/f", "2"), symlink("up", "../victim"), symlink("dead", "nowhere")
    )
    tree = {"d": DIR, "d/x": "'1'", "etc": DIR, "etc/f": "'2'", "up": "link ../victim", "dead": "link nowhere"}
    without_x = {name: word for name, word in tree.items() if name != "d/x"}
    bad = {
        "parent": ".wh...",
        "root_parent": "d/.wh...",
        "root": ".wh..",
        "current_directory": "d/.wh..",
        "nothing": ".wh.",
        "a_whiteout": "d/.wh..wh.x",
        "directory_name": ".wh.etc/somefile",
        "deep_directory_name": "d/.wh.x/y",
    }
    found = [
        Vector(
            f"f5_containerd_whiteout_{name}",
            (lower, layer(file(path))),
            InvalidArchive,
            (lower, layer(file("d/.wh.x"))),
            without_x,
        )
        for name, path in bad.items()
    ]
    kinds = {
        "folder": folder("d/.wh.x"),
        "link": symlink("d/.wh.x", "x"),
        "hard_link": hardlink("d/.wh.x", "d/x"),
        "fifo": fifo("d/.wh.x"),
    }
    found += [
        Vector(
            f"f5_whiteout_as_{kind}", (lower, layer(member)), InvalidArchive, (lower, layer(file("d/.wh.x"))), without_x
        )
        for kind, member in kinds.items()
    ]
    through = {name: word for name, word in tree.items() if name != "up"}
    return [
        *found,
        Vector("f5_containerd_whiteout_of_a_link", (lower, layer(file(".wh.up"))), through),
        Vector("f5_containerd_whiteout_through_a_link", (lower, layer(file("up/.wh.hello"))), tree),
        Vector("f5_containerd_whiteout_below_a_dead_link", (lower, layer(file("dead/.wh.x"))), tree),
        Vector("f5_whiteout_below_nothing", (lower, layer(file("no/such/.wh.x"))), tree),
        Vector("f5_whiteout_below_a_file", (lower, layer(file("d/x/.wh.y"))), tree),
        Vector("f5_opaque_through_a_link", (lower, layer(file("up/.wh..wh..opq"))), {**tree, "victim": DIR}),
        Vector(
            "f5_umoci_opaque_below_a_very_bad_link",
            (layer(symlink("bad", CLIMB + "victim")), layer(file("bad/.wh..wh..opq"), file("bad/.wh.hello"))),
            {"bad": f"link {CLIMB}victim", "victim": DIR},
        ),
    ]


def _names_of_nothing() -> list[Vector]:
    odd = {"e3_a_slash": "a/", "e3_two_slashes": "a//", "e3_dot": "a/.", "e3_dot_slash": "a/./"}
    return [
        *(
            attack(
                name, symlink(path, "/etc"), file("a/f", "in"), gives={"a": "link /etc", "etc": DIR, "etc/f": "'in'"}
            )
            for name, path in odd.items()
        ),
        refused(
            "f14_a_name_257_deep",
            [file("a/" * 256 + "f")],
            LimitExceeded,
            [folder("a/" * 3)],
            {"a": DIR, "a/a": DIR, "a/a/a": DIR},
        ),
        refused("f14_a_folder_257_deep", [folder("a/" * 257)], LimitExceeded, [folder("a")], {"a": DIR}),
        refused("e11_a_component_too_long", [file("a" * 256)], LimitExceeded, [file("a" * 255)], {"a" * 255: "''"}),
        refused(
            "e9_a_link_too_long",
            [symlink("l", "a/" * 2049)],
            LimitExceeded,
            [symlink("l", "a/" * 99)],
            {"l": "link " + "a/" * 99},
        ),
        refused("e3_a_link_to_nothing", [symlink("l", "")], InvalidArchive, [symlink("l", "x")], {"l": "link x"}),
        refused("e_unknown_type", [entry("x", b"V")], InvalidArchive, [file("x", "1")], {"x": "'1'"}),
        refused("e_multi_volume", [entry("x", b"M")], InvalidArchive, [file("x", "1")], {"x": "'1'"}),
        refused("f7_a_forged_overlay_whiteout", [device("x", 0, 0)], InvalidArchive, [file("x", "1")], {"x": "'1'"}),
        refused("e12_a_device_of_no_kernel", [device("x", 4096, 1)], InvalidArchive, [fifo("x")], {"x": "fifo"}),
    ]


def _path_max() -> Vector:
    """CVE-2025-4517: names that resolve to more than PATH_MAX, so that a checker by path gives up and lets it pass."""
    long = "d" * 247
    entries = []
    path = ""
    for letter in "abcdefghijklmnop":
        entries += [folder(path + long), symlink(path + letter, long)]
        path += f"{letter}/"
    link_path = path + "l" * 254
    entries += [
        symlink(link_path, "../" * 16),
        symlink("escape", f"{link_path}/../../victim"),
        file("escape/hello", "bad"),
    ]
    shallow = [folder(long), symlink("a", long), symlink("a/up", ".."), file("a/up/f", "in")]
    # Sixteen steps up from sixteen down is the root, and so is everything above it.
    return Vector(
        "e1_path_max",
        (layer(*entries),),
        {"victim": DIR, "victim/hello": "'bad'"},
        (layer(*shallow),),
        {long: DIR, "a": f"link {long}", f"{long}/up": "link ..", "f": "'in'"},
    )


PATH_MAX = _path_max()
VECTORS: tuple[Vector, ...] = (
    *_names(),
    *_scoped(),
    *hard_links(),
    *symlinks(),
    *second_operations(),
    *_roots(),
    *_whiteouts(),
    *_names_of_nothing(),
    PATH_MAX,
)
