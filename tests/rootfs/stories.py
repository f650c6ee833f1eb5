"""Layers over layers and the tree they make: the oracle of EXTRACTION.md §4, and more of its kind."""

from dataclasses import dataclass

from tests.rootfs.layering import DIR, Words, fifo, file, folder, hardlink, layer, symlink


@dataclass(frozen=True)
class Story:
    """`alone`: each layer can be unpacked without those below it, so that overlayfs gives the same tree."""

    name: str
    layers: tuple[bytes, ...]
    tree: Words
    alone: bool = True


def story(name: str, *layers: list[bytes], tree: Words, alone: bool = True) -> Story:
    return Story(name, tuple(layer(*entries) for entries in layers), tree, alone)


OPAQUE = file("d/.wh..wh..opq")
D_X = [folder("d"), file("d/x", "1")]
D_Y: Words = {"d": DIR, "d/y": "'2'"}

STORIES: tuple[Story, ...] = (
    story("a_file_of_the_same_layer_survives", [file("a", "1")], [file("a", "2"), file(".wh.a")], tree={"a": "'2'"}),
    story("a_file_after_its_whiteout_is_there", [file("a", "1")], [file(".wh.a"), file("a", "2")], tree={"a": "'2'"}),
    story("opaque_last", D_X, [folder("d"), file("d/y", "2"), OPAQUE], tree=D_Y),
    story("opaque_first", D_X, [OPAQUE, folder("d"), file("d/y", "2")], tree=D_Y),
    story("opaque_between", D_X, [folder("d"), OPAQUE, file("d/y", "2")], tree=D_Y),
    story("opaque_without_an_entry_for_its_folder", D_X, [OPAQUE, file("d/y", "2")], tree=D_Y),
    story("opaque_of_what_is_not_there", [file("a", "1")], [OPAQUE], tree={"a": "'1'", "d": DIR}),
    story("whiteout_then_made_again", D_X, [file(".wh.d"), folder("d"), file("d/y", "2")], tree=D_Y),
    story("made_then_whiteout", D_X, [folder("d"), file("d/y", "2"), file(".wh.d")], tree=D_Y),
    story("whiteout_between", D_X, [folder("d"), file(".wh.d"), file("d/y", "2")], tree=D_Y),
    story("whiteout_then_below_it", D_X, [file(".wh.d"), file("d/y", "2")], tree=D_Y),
    story("below_it_then_whiteout", D_X, [file("d/y", "2"), file(".wh.d")], tree=D_Y),
    story(
        "deep_below_it_then_whiteout",
        [file("d/e/f/x", "1"), file("d/e/x", "1"), file("d/x", "1")],
        [file("d/e/f/y", "2"), file(".wh.d")],
        tree={"d": DIR, "d/e": DIR, "d/e/f": DIR, "d/e/f/y": "'2'"},
    ),
    story(
        "deep_below_it_then_opaque",
        [file("d/e/x", "1"), file("d/g/x", "1")],
        [file("d/e/y", "2"), OPAQUE],
        tree={"d": DIR, "d/e": DIR, "d/e/y": "'2'"},
    ),
    story(
        "opaque_at_the_root",
        [file("a", "1"), file("d/x", "1")],
        [file("d/y", "2"), file(".wh..wh..opq")],
        tree=D_Y,
    ),
    story("whiteout_in_an_opaque_folder", D_X, [folder("d"), OPAQUE, file("d/.wh.x"), file("d/y", "2")], tree=D_Y),
    story("whiteout_of_nothing", D_X, [file(".wh.zz"), file("d/.wh.zz")], tree={"d": DIR, "d/x": "'1'"}),
    story("whiteout_twice", D_X, [file("d/.wh.x"), file("d/.wh.x")], tree={"d": DIR}),
    story("whiteout_of_a_folder", [*D_X, file("a", "1")], [file(".wh.d")], tree={"a": "'1'"}),
    story("whiteout_then_back_in_the_next_layer", D_X, [file(".wh.d")], [file("d/y", "2")], tree=D_Y),
    story(
        "whiteout_through_a_link",
        [folder("real"), file("real/x", "1"), symlink("ln", "real")],
        [file("ln/.wh.x")],
        tree={"real": DIR, "ln": "link real"},
        alone=False,
    ),
    story("file_over_folder", D_X, [file("d", "2")], tree={"d": "'2'"}),
    story("link_over_folder", D_X, [symlink("d", "e")], tree={"d": "link e"}),
    story("fifo_over_folder", D_X, [fifo("d")], tree={"d": "fifo"}),
    story(
        "hard_link_over_folder",
        [*D_X, file("a", "1")],
        [file("a", "1"), hardlink("d", "a")],
        tree={"a": "'1'", "d": "'1'"},
    ),
    story("folder_over_file", [file("d", "1")], [folder("d"), file("d/y", "2")], tree=D_Y),
    story(
        "folder_over_link",
        [folder("t"), file("t/x", "1"), symlink("l", "t")],
        [folder("l"), file("l/f", "2")],
        tree={"t": DIR, "t/x": "'1'", "l": DIR, "l/f": "'2'"},
    ),
    story(
        "file_then_folder_over_folder",
        [folder("d"), file("d/x", "1"), file("d/e/x", "1")],
        [file("d", "2"), folder("d"), file("d/e/y", "2")],
        tree={"d": DIR, "d/e": DIR, "d/e/y": "'2'"},
    ),
    story(
        "whiteout_in_a_folder_that_only_lower_layers_have",
        [file("d/e/x", "1"), file("d/e/y", "2")],
        [file("d/e/.wh.x"), file("no/.wh.x")],
        tree={"d": DIR, "d/e": DIR, "d/e/y": "'2'"},
    ),
    story("folder_over_fifo", [fifo("d")], [file("d/y", "2")], tree=D_Y),
    story("below_a_file", [file("a", "1")], [file("a/b", "2")], tree={"a": DIR, "a/b": "'2'"}),
    story("below_a_file_of_the_same_layer", [file("a", "1"), file("a/b", "2")], tree={"a": DIR, "a/b": "'2'"}),
    story(
        "below_a_link_to_a_file",
        [file("a", "1"), symlink("l", "a"), file("l/b", "2")],
        tree={"a": DIR, "a/b": "'2'", "l": "link a"},
    ),
    story(
        "below_a_link_to_nothing",
        [symlink("l", "no/where"), file("l/f", "2")],
        tree={"l": "link no/where", "no": DIR, "no/where": DIR, "no/where/f": "'2'"},
    ),
    story(
        "below_an_absolute_link",
        [folder("etc"), symlink("l", "/etc")],
        [file("l/f", "2")],
        tree={"etc": DIR, "l": "link /etc", "etc/f": "'2'"},
        alone=False,
    ),
    story(
        "link_replaced_by_folder_then_whiteout",
        [file("t/x", "1"), symlink("l", "t")],
        [folder("l"), file("l/y", "2"), file("l/.wh.x")],
        tree={"t": DIR, "t/x": "'1'", "l": DIR, "l/y": "'2'"},
    ),
    story(
        "folder_replaced_by_a_link_in_one_layer",
        [file("d/x", "1"), file("e/y", "2"), symlink("d", "e"), file("d/z", "3")],
        tree={"e": DIR, "e/y": "'2'", "d": "link e", "e/z": "'3'"},
    ),
    story(
        "link_turned_elsewhere_in_one_layer",
        [symlink("l", "a"), file("l/x", "1"), symlink("l", "b"), file("l/y", "2")],
        tree={"l": "link b", "a": DIR, "a/x": "'1'", "b": DIR, "b/y": "'2'"},
    ),
    story("f10_file_twice", [file("a", "1"), file("a", "22")], tree={"a": "'22'"}),
    story("f10_file_then_link", [file("a", "1"), symlink("a", "b")], tree={"a": "link b"}),
    story("f10_link_then_file", [symlink("a", "b"), file("b", "1"), file("a", "2")], tree={"a": "'2'", "b": "'1'"}),
    story("f10_file_then_folder", [file("a", "1"), folder("a")], tree={"a": DIR}),
    story("f10_folder_then_file", [folder("a"), file("a/x"), file("a", "1")], tree={"a": "'1'"}),
    story(
        "f10_two_spellings_of_one_letter",
        [file("\u00e9", "1"), file("e\u0301", "2")],
        tree={"\u00e9": "'1'", "e\u0301": "'2'"},
    ),
    story("f10_case_matters", [file("A", "1"), file("a", "2")], tree={"A": "'1'", "a": "'2'"}),
    story(
        "hard_link_to_a_lower_file", [file("a", "1")], [hardlink("b", "a")], tree={"a": "'1'", "b": "'1'"}, alone=False
    ),
    story(
        "the_other_name_of_a_replaced_file_stays",
        [file("a", "1"), hardlink("b", "a")],
        [file("a", "2")],
        tree={"a": "'2'", "b": "'1'"},
    ),
    story(
        "first_of_a_group_is_overwritten",
        [file("a", "1"), hardlink("b", "a"), file("a", "2"), hardlink("c", "a")],
        tree={"a": "'2'", "b": "'1'", "c": "'2'"},
    ),
    story("hard_link_to_itself", [file("a", "1"), hardlink("a", "./a")], tree={"a": "'1'"}),
    story(
        "hard_link_over_another", [file("a", "1"), file("b", "2"), hardlink("b", "a")], tree={"a": "'1'", "b": "'1'"}
    ),
    story(
        "hard_link_through_a_link",
        [file("d/a", "1"), symlink("l", "d"), hardlink("b", "l/a")],
        tree={"d": DIR, "d/a": "'1'", "l": "link d", "b": "'1'"},
    ),
    story(
        "the_notes_of_aufs_are_no_files",
        [file("a", "1")],
        [folder(".wh..wh.plnk"), file(".wh..wh.plnk/3.4", "x"), file(".wh..wh.aufs"), folder(".wh..wh.orph/")],
        tree={"a": "'1'"},
    ),
    story("an_empty_layer", [file("a", "1")], [], tree={"a": "'1'"}),
    story("no_layer_holds_anything", [], tree={}),
    story(
        "names_that_only_look_like_whiteouts",
        [file(".whx"), file("x.wh.y"), file(".w")],
        tree={".whx": "''", "x.wh.y": "''", ".w": "''"},
    ),
)
