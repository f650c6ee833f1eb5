"""Attacks by symbolic and hard links: moby, containerd, umoci, oras-go, apko, CPython (see vectors)."""

from puller.errors import InvalidArchive, PullerError, UnsafePath
from tests.rootfs.layering import DIR, fifo, file, folder, hardlink, layer, symlink
from tests.rootfs.vector import CLIMB, Vector, attack, refused


def hard_links() -> list[Vector]:
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


def symlinks() -> list[Vector]:
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


def second_operations() -> list[Vector]:
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
