"""Health: what is wrong with a daemon as seen from outside. Pure.

A mirror that fails is no illness: to restart the daemon would not mend the registry. The numbers tell of that.
"""

from collections.abc import Mapping

from puller.ops.syncing.tallies import Tallies

STILL = 90.0  # seconds that the loop may be still; it looks at the clock every 30
OVERDUE = 10 * 60.0  # seconds that a mirror may be late with nothing running
STUCK = 60 * 60.0  # seconds that a run may go without anything happening


def ailments(tallies: Tallies, now: float) -> list[Mapping[str, object]]:
    """What is wrong, as plain data; empty: all is well."""
    found: list[Mapping[str, object]] = []
    if tallies.began is not None:
        still = now - max(tallies.stirred, tallies.patient)
        if still > STUCK:
            found.append({"what": "a run is stuck", "seconds": round(still), "mirrors": list(tallies.running)[:20]})
        return found
    if now - tallies.beat > STILL:
        found.append({"what": "the loop stands still", "seconds": round(now - tallies.beat)})
    late = [key for key, tally in tallies.mirrors.items() if tally.due is not None and now - tally.due > OVERDUE]
    if late:
        found.append({"what": "mirrors are overdue", "mirrors": late[:20]})
    return found
