"""Choosing IDs: every recorded graph, and what the choice must never do."""

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puller.legacy.history import fold_layers
from puller.legacy.idchain import Candidate, id_chain
from puller.legacy.reuse import Choice, Judgement, Look, Verdict, choose_ids, probe
from tests.legacy.folders import Folders
from tests.legacy.golden import cases, from_base64, named
from tests.legacy.test_history import fold, text

pytestmark = pytest.mark.slow  # many small tests: for `make test`

CASES = cases("idreuse")
CHAIN = id_chain(fold(text("c", "b"), text("b", "a"), text("a")))
VERDICTS = st.lists(st.sampled_from(Verdict), min_size=12, max_size=12)


def chain_of(case: dict[str, Any]) -> tuple[Candidate, ...]:
    return id_chain(fold_layers(case["layers"], [from_base64(line) for line in case["history_b64"]]))


@pytest.mark.parametrize("case", CASES, ids=named)
def test_ids_parents_and_configs_are_those_recorded_of_the_original(case: dict[str, Any]) -> None:
    chain = chain_of(case)
    choices = Folders.of(case).choose(chain)
    found = [
        (c.legacy_id, h.image_id, h.parent or "", f"sha256:{c.strong_id}") for c, h in zip(chain, choices, strict=True)
    ]
    expected = [(i["compat_id"], i["id"], i["parent"], i["strong_id"]) for i in case["images"]]
    assert found[::-1] == expected
    assert [c.config for c in chain][::-1] == [from_base64(i["config_b64"]) for i in case["images"]]


@pytest.mark.parametrize("case", CASES, ids=named)
def test_what_is_logged_is_what_was_recorded_of_the_original(case: dict[str, Any]) -> None:
    lines = [line for choice in Folders.of(case).choose(chain_of(case)) for line in choice.log]
    assert lines == [json.loads(line) for line in case["debug_log"]]


@pytest.mark.parametrize("case", CASES, ids=named)
def test_legacy_texts_are_generated_as_recorded_of_the_original(case: dict[str, Any]) -> None:
    folders = Folders.of(case)
    folders.choose(chain_of(case))
    found = {name: held["v1Compatibility"] for name, held in folders.files.items() if "v1Compatibility" in held}
    assert found == {name: from_base64(raw) for name, raw in case["v1compat_after_b64"].items()}


@pytest.mark.parametrize("case", CASES, ids=named)
def test_what_is_said_to_be_here_is_what_was_found_to_match(case: dict[str, Any]) -> None:
    folders = Folders.of(case)
    choices = folders.choose(chain_of(case))
    for choice in choices:
        assert choice.is_present == any(line.endswith(f" as {choice.image_id}") for line in choice.log)


@pytest.mark.parametrize("case", cases("trynextid"), ids=lambda case: case["id"][:12] or "empty")
def test_probing_gives_the_ids_recorded_of_the_original(case: dict[str, Any]) -> None:
    first, *following = itertools.islice(probe(case["id"]), 1 + len(case["next"]))
    assert (first, following) == (case["id"], case["next"])


def run(answer: Callable[[Look], Verdict]) -> tuple[list[Choice], list[Look]]:
    looks: list[Look] = []
    choosing = choose_ids(CHAIN)
    try:
        look = next(choosing)
        while True:
            looks.append(look)
            look = choosing.send(Judgement(answer(look), "because"))
    except StopIteration as done:
        return done.value, looks


def test_nothing_known_gives_strong_ids_and_asks_for_one_legacy_id() -> None:
    choices, looks = run(lambda look: Verdict.ABSENT)
    assert [c.image_id for c in choices] == [c.strong_id for c in CHAIN]
    assert [look.image_id for look in looks] == [
        CHAIN[0].strong_id, CHAIN[0].legacy_id, CHAIN[1].strong_id, CHAIN[2].strong_id,
    ]  # fmt: skip


def test_c14_a_legacy_id_that_holds_something_else_is_not_taken() -> None:
    legacy = {candidate.legacy_id for candidate in CHAIN}
    choices, _ = run(lambda look: Verdict.CLASHES if look.image_id in legacy else Verdict.ABSENT)
    assert legacy.isdisjoint(choice.image_id for choice in choices)


@given(VERDICTS)
def test_c14_no_id_is_chosen_that_holds_something_else(verdicts: list[Verdict]) -> None:
    answers = iter([*verdicts, *[Verdict.ABSENT] * 12])
    told: dict[tuple[str, str | None], Verdict] = {}

    def answer(look: Look) -> Verdict:
        return told.setdefault((look.image_id, look.parent), next(answers))

    choices, _ = run(answer)
    for choice in choices:
        known = told[choice.image_id, choice.parent]
        assert known is not Verdict.CLASHES
        assert choice.is_present == (known is Verdict.MATCHES)


@given(VERDICTS)
def test_c14_every_parent_is_the_id_chosen_below_and_no_id_is_given_twice(verdicts: list[Verdict]) -> None:
    answers = iter([*verdicts, *[Verdict.ABSENT] * 12])
    choices, _ = run(lambda look: next(answers))
    assert [choice.parent for choice in choices] == [None, *(choice.image_id for choice in choices[:-1])]
    assert len({choice.image_id for choice in choices}) == len(choices)


@given(VERDICTS)
def test_a_legacy_id_is_kept_only_above_images_that_are_here(verdicts: list[Verdict]) -> None:
    answers = iter([*verdicts, *[Verdict.ABSENT] * 12])
    choices, _ = run(lambda look: next(answers))
    for place, choice in enumerate(choices):
        if choice.image_id == CHAIN[place].legacy_id:
            assert all(below.is_present for below in choices[:place])


def test_a_second_choice_over_the_same_graph_lands_on_the_same_probed_id() -> None:
    # TestPullConflict: what was probed past once is probed past again, and the image found there is kept.
    taken = CHAIN[0].strong_id
    first, _ = run(lambda look: Verdict.CLASHES if look.image_id == taken else Verdict.ABSENT)
    held = {choice.image_id for choice in first}

    def again(look: Look) -> Verdict:
        if look.image_id == taken:
            return Verdict.CLASHES
        return Verdict.MATCHES if look.image_id in held else Verdict.ABSENT

    second, _ = run(again)
    assert [choice.image_id for choice in second] == [choice.image_id for choice in first]
    assert all(choice.is_present for choice in second)
