"""Attacks on unpackers that were found before, told anew: moby, containerd, umoci, oras-go, apko, CPython.

Each is one or more layers applied in order; what follows is a refusal or a tree, and never anything outside. `control`
is an honest layer of the same shape, which must work. Layouts and wording are our own (EXTRACTION.md §4, §5).
"""

from dataclasses import dataclass

from puller.errors import InvalidArchive, LimitExceeded, PullerError, UnsafePath
from puller.stream.tarentry import BLOCK_DEVICE, CHARACTER_DEVICE, FIFO, HARD_LINK, REGULAR, SYMLINK
from tests.rootfs.layering import DIR, Words, device, entry, fifo, file, folder, hardlink, layer, symlink

CLIMB = "../" * 12


@dataclass(frozen=True)
class Vector:
    """`outcome` is the error of the last layer, or the tree that all of them make."""

    name: str
    layers: tuple[bytes, ...]
    outcome: type[PullerError] | Words
    control: tuple[bytes, ...] = ()
    makes: Words | None = None


def attack(name: str, *entries: bytes, gives: type[PullerError] | Words) -> Vector:
    return Vector(name, (layer(*entries),), gives)


def refused(name: str, bad: list[bytes], error: type[PullerError], good: list[bytes], makes: Words) -> Vector:
    """An attack that is refused, and its control."""
    return Vector(name, (layer(*bad),), error, (layer(*good),), makes)


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


def _hard_links() -> list[Vector]:
    control = [file("victim/hello", "own"), hardlink("x", "/victim/hello")]
    makes = {"victim": DIR, "victim/hello": "'own'", "x": "'own'"}
    through = [symlink("loop", "../victim"), hardlink("x", "loop/hello")]
    bad: dict[str, tuple[list[bytes], type[PullerError]]] = {
        "moby_relative": ([hardlink("x", "../victim/hello")], UnsafePath),
        "moby_slash_dotdot": ([hardlink("x", "/../victim/hello")], UnsafePath),
        "moby_link_to_a_folder_outside": ([hardlink("loop", "../victim"), file("loop/f", "bad")], UnsafePath),
        "moby_through_a_link": (through, InvalidArchive),
        "containerd_absolute": ([hardlink("x", "/etc/passwd")], InvalidArchive),
        "containerd_relative_long": ([hardlink("x", CLIMB + "etc/passwd")], UnsafePath),
        "containerd_down_and_out": ([folder("down"), hardlink("down/x", "down/" + CLIMB + "etc/passwd")], UnsafePath),
        "containerd_direct_absolute": ([symlink("local", "/etc"), hardlink("x", "local/passwd")], InvalidArchive),
        "containerd_direct_relative": ([symlink("e", CLIMB + "etc"), hardlink("x", "e/passwd")], InvalidArchive),
        "oras_relative_to_the_working_directory": ([hardlink("x", "sentinel")], InvalidArchive),
        "to_a_folder": ([folder("d"), hardlink("x", "d")], InvalidArchive),
        "to_the_root": ([hardlink("x", "/")], InvalidArchive),
        "to_nothing": ([hardlink("x", "")], InvalidArchive),
        "to_itself": ([hardlink("x", "x")], InvalidArchive),
        "to_a_later_entry": ([hardlink("x", "y"), file("y", "1")], InvalidArchive),
        "in_place_of_the_folder_it_leads_to": ([file("d/x", "1"), hardlink("d", "d/x")], InvalidArchive),
    }
    return [refused(f"f3_{name}", entries, error, control, makes) for name, (entries, error) in bad.items()]


def _symlinks() -> list[Vector]:
    inside = {"victim": DIR, "victim/new": "'in'"}
    return [
        attack(
            "f2_moby_relative",
            symlink("loop", "../victim"),
            file("loop/new", "in"),
            gives={"loop": "link ../victim", **inside},
        ),
        attack(
            "f2_moby_slash_dotdot",
            symlink("loop", "/../victim"),
            file("loop/new", "in"),
            gives={"loop": "link /../victim", **inside},
        ),
        attack(
            "f2_moby_from_below",
            symlink("dir/loop", "../../victim"),
            file("dir/loop/newdir/new", "in"),
            gives={
                "dir": DIR,
                "dir/loop": "link ../../victim",
                "victim": DIR,
                "victim/newdir": DIR,
                "victim/newdir/new": "'in'",
            },
        ),
        attack(
            "f2_moby_two_hops",
            symlink("inner/go_up", ".."),
            symlink("inner/go_up/escape", "../victim"),
            file("inner/go_up/escape/new", "in"),
            gives={"inner": DIR, "inner/go_up": "link ..", "escape": "link ../victim", **inside},
        ),
        attack(
            "f2_three_hops",
            symlink("a", "b"),
            symlink("b", "c"),
            symlink("c", CLIMB + "victim"),
            file("a/new", "in"),
            gives={"a": "link b", "b": "link c", "c": f"link {CLIMB}victim", **inside},
        ),
        attack(
            "f2_moby_relative_before_absolute",
            symlink("up", "../victim"),
            symlink("abs", "/up"),
            file("abs/new", "in"),
            gives={"up": "link ../victim", "abs": "link /up", **inside},
        ),
        attack(
            "f2_moby_replaced_by_a_file", symlink("loop", "../victim/hello"), file("loop", "in"), gives={"loop": "'in'"}
        ),
        attack(
            "f2_moby_replaced_by_a_file_below",
            symlink("loop", "../victim"),
            file("loop/hello", "in"),
            file("loop", "x"),
            gives={"loop": "'x'", "victim": DIR, "victim/hello": "'in'"},
        ),
        attack(
            "f2_containerd_absolute",
            symlink("localetc", "/etc"),
            file("localetc/f", "in"),
            gives={"localetc": "link /etc", "etc": DIR, "etc/f": "'in'"},
        ),
        attack(
            "f2_containerd_up_and_out",
            symlink("localetc", CLIMB + "etc"),
            file("localetc/f", "in"),
            gives={"localetc": f"link {CLIMB}etc", "etc": DIR, "etc/f": "'in'"},
        ),
        attack(
            "f2_containerd_multiple_absolute",
            folder("etc"),
            symlink("a", "/b"),
            symlink("b", "/etc"),
            file("a/f", "in"),
            gives={"etc": DIR, "a": "link /b", "b": "link /etc", "etc/f": "'in'"},
        ),
        attack(
            "f2_containerd_multiple_relative",
            symlink("a", "b/c"),
            symlink("b/c", "../../etc"),
            file("a/f", "in"),
            gives={"a": "link b/c", "b": DIR, "b/c": "link ../../etc", "etc": DIR, "etc/f": "'in'"},
        ),
        attack("f2_containerd_empty_file", symlink("empty", "../victim/hello"), file("empty"), gives={"empty": "''"}),
        attack(
            "f2_containerd_slash_ended",
            symlink("localetc/", "/etc"),
            file("localetc/f", "in"),
            gives={"localetc": "link /etc", "etc": DIR, "etc/f": "'in'"},
        ),
        attack(
            "f2_containerd_directory_overrides_symlink",
            symlink("l", "/etc"),
            folder("l"),
            file("l/f", "in"),
            gives={"l": DIR, "l/f": "'in'"},
        ),
        attack(
            "f2_containerd_directory_overrides_hard_link",
            symlink("l", "/etc"),
            hardlink("m", "l"),
            folder("m"),
            file("m/f", "in"),
            gives={"l": "link /etc", "m": DIR, "m/f": "'in'"},
        ),
        attack(
            "f2_containerd_symlink_overrides_directory",
            folder("d"),
            file("d/x", "1"),
            symlink("d", "/etc"),
            file("d/f", "in"),
            gives={"d": "link /etc", "etc": DIR, "etc/f": "'in'"},
        ),
        attack(
            "f2_containerd_symlink_overrides_directory_relative",
            folder("d"),
            symlink("d", CLIMB + "etc"),
            file("d/f", "in"),
            gives={"d": f"link {CLIMB}etc", "etc": DIR, "etc/f": "'in'"},
        ),
        attack(
            "f2_through_proc",
            symlink("p", "/proc/self/root"),
            file("p/etc/passwd", "in"),
            gives={
                "p": "link /proc/self/root",
                "proc": DIR,
                "proc/self": DIR,
                "proc/self/root": DIR,
                "proc/self/root/etc": DIR,
                "proc/self/root/etc/passwd": "'in'",
            },
        ),
        Vector(
            "f2_across_layers",
            (layer(symlink("l", "../victim")), layer(file("l/hello", "in"))),
            {"l": "link ../victim", "victim": DIR, "victim/hello": "'in'"},
        ),
        refused(
            "f2_a_loop_of_links",
            [symlink("a", "b"), symlink("b", "a"), file("a/f", "x")],
            UnsafePath,
            [symlink("a", "b"), folder("b"), file("a/f", "x")],
            {"a": "link b", "b": DIR, "b/f": "'x'"},
        ),
        refused(
            "f2_a_link_to_itself",
            [symlink("a", "a"), file("a/f", "x")],
            UnsafePath,
            [symlink("a", "."), file("a/f", "x")],
            {"a": "link .", "f": "'x'"},
        ),
    ]


def _second_operations() -> list[Vector]:
    """apko: what comes second, under the name of a link, must not reach through it."""
    link = symlink("l", "../victim/hello")
    into = symlink("l", "../victim")
    return [
        attack("f6_apko_mkdir", into, folder("l", mode=0o777), gives={"l": DIR}),
        attack("f6_apko_write", link, file("l", "in", mode=0o777), gives={"l": "'in'"}),
        attack("f6_apko_chmod_and_chown", into, folder("l", mode=0o4777, uid=7, gid=7), gives={"l": DIR}),
        attack("f6_apko_mknod", link, fifo("l", mode=0o666), gives={"l": "fifo"}),
        attack("f6_apko_symlink", link, symlink("l", "elsewhere"), gives={"l": "link elsewhere"}),
        attack(
            "f3_link_to_a_link_to_outside",
            symlink("l", "../victim/hello"),
            hardlink("m", "l"),
            gives={"l": "link ../victim/hello", "m": "link ../victim/hello"},
        ),
        attack(
            "f3_containerd_before_the_target_is_made",
            symlink("passwd", "../victim/hello"),
            hardlink("local", "passwd"),
            file("passwd", "in"),
            gives={"passwd": "'in'", "local": "link ../victim/hello"},
        ),
        attack(
            "f3_containerd_hard_link_to_an_absolute_link",
            symlink("p", "/etc/passwd"),
            hardlink("m", "p"),
            file("m", "in"),
            gives={"p": "link /etc/passwd", "m": "'in'"},
        ),
        attack(
            "f6_containerd_chmod_by_a_hard_link",
            symlink("p", "../victim/hello"),
            hardlink("m", "p", mode=0o4777, uid=7, gid=7, mtime=99),
            gives={"p": "link ../victim/hello", "m": "link ../victim/hello"},
        ),
        attack(
            "f6_chmod_by_a_second_hard_link",
            symlink("p", "../victim/hello"),
            hardlink("m", "p"),
            hardlink("m", "p", mode=0o4777),
            gives={"p": "link ../victim/hello", "m": "link ../victim/hello"},
        ),
        attack("f3_kaniko_absolute", file("a", "1"), hardlink("b", "/a"), gives={"a": "'1'", "b": "'1'"}),
        attack(
            "e2_link_at_a_shallower_depth",
            folder("a/b"),
            symlink("a/b/l", "../../victim/hello"),
            hardlink("m", "a/b/l"),
            gives={"a": DIR, "a/b": DIR, "a/b/l": "link ../../victim/hello", "m": "link ../../victim/hello"},
        ),
    ]


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
    *_hard_links(),
    *_symlinks(),
    *_second_operations(),
    *_roots(),
    *_whiteouts(),
    *_names_of_nothing(),
    PATH_MAX,
)
