"""The text that Prometheus reads."""

import pytest

from puller.web.exposition import Family, Sample, exposition


def family(*samples: Sample, name: str = "puller_things", meaning: str = "Things.") -> Family:
    return Family(name, "gauge", meaning, samples)


def test_numbers_are_written_with_their_meaning_and_labels() -> None:
    text = exposition(
        [
            Family("puller_runs_total", "counter", "Runs.", (Sample(3, {"mirror": "a > b", "result": "well"}),)),
            Family("puller_run_seconds", "summary", "Time.", (Sample(1.5, {}, "_sum"), Sample(2, {}, "_count"))),
        ]
    )
    assert text == (
        "# HELP puller_runs_total Runs.\n"
        "# TYPE puller_runs_total counter\n"
        'puller_runs_total{mirror="a > b",result="well"} 3\n'
        "# HELP puller_run_seconds Time.\n"
        "# TYPE puller_run_seconds summary\n"
        "puller_run_seconds_sum 1.5\n"
        "puller_run_seconds_count 2\n"
    )


def test_a_family_without_samples_is_left_out() -> None:
    assert exposition([family()]) == ""


def test_labels_cannot_end_their_line_or_begin_another() -> None:
    text = exposition([family(Sample(1, {"mirror": 'a"} 1\nfake_metric{x="\\'}))])
    assert text.splitlines()[2:] == ['puller_things{mirror="a\\"} 1\\nfake_metric{x=\\"\\\\"} 1']


def test_the_meaning_cannot_end_its_line() -> None:
    assert exposition([family(Sample(1, {}), meaning="a\nb\\c")]).splitlines()[0] == r"# HELP puller_things a\nb\\c"


def test_a_lone_surrogate_is_written_as_something_utf_8_has() -> None:
    assert 'mirror="oci:/srv/?"' in exposition([family(Sample(1, {"mirror": "oci:/srv/\udcff"}))])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1.0, "1"),
        (1e15, "1000000000000000"),
        (2**60, str(2**60)),
        (0.1, "0.1"),
        (-1.5, "-1.5"),
        (float("inf"), "+Inf"),
        (float("-inf"), "-Inf"),
        (float("nan"), "NaN"),
        (1e-7, "1e-07"),
    ],
)
def test_numbers_are_written_as_go_reads_them(value: float, text: str) -> None:
    assert exposition([family(Sample(value, {}))]).splitlines()[2] == f"puller_things {text}"


@pytest.mark.parametrize("name", ["", "9x", "a-b", "a b", "a\n"])
def test_what_is_no_name_is_a_fault_of_this_program(name: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        exposition([family(Sample(1, {}), name=name)])
    with pytest.raises(ValueError, match="no name"):
        exposition([family(Sample(1, {name: "x"}))])
