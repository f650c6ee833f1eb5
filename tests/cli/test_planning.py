"""What a plan takes, in words."""

from puller.cli.planning import forecast_lines
from puller.mirror.plan import Forecast


def test_what_a_plan_takes_is_told_by_host_and_by_place() -> None:
    forecast = Forecast(
        {"b.example": 1, "a.example": 12}, {"a.example": 4}, {"a.example": 310_200_000}, {"oci:/x": 2000}
    )
    assert list(forecast_lines(forecast)) == [
        "from a.example: 12 requests, 4 pulls among them, 310.2 MB",
        "from b.example: 1 request, 0 pulls among them, 0 B",
        "at oci:/x: 2.0 kB more",
    ]


def test_images_of_which_nothing_is_known_are_told_of() -> None:
    assert list(forecast_lines(Forecast(unknown=3))) == ["of 3 it is not known what they take"]
