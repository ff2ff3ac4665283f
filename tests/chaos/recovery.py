"""When the flow is full again after something was done to it."""

import bisect

# The share of the offered rate that counts as full flow.
FULL = 0.8
# The flow must be full in this many windows in a row: one could be a burst before the next gap.
WINDOWS = 2
WINDOW_S = 0.5


def acked_at(times, acked, moment):
    """As of the last sample at or before `moment`; while Redis is away that is an old one."""
    index = bisect.bisect_right(times, moment) - 1
    return acked[index] if index >= 0 else 0


def full_flow_from(times, acked, since, rate):
    """The first moment from `since` on at which full flow began, or None if it has not yet.

    times, acked: samples, both ascending. rate: messages offered per second.
    """
    if not times:
        return None
    needed = FULL * rate * WINDOW_S
    first = bisect.bisect_left(times, since)
    for start in (since, *times[first:]):
        ends = [start + WINDOW_S * i for i in range(WINDOWS + 1)]
        if ends[-1] > times[-1]:
            return None
        counts = [acked_at(times, acked, end) for end in ends]
        if all(after - before >= needed for before, after in zip(counts, counts[1:])):
            return start
    return None


def acked_entirely_at(times, acked_up_to, number):
    """When all messages up to `number` were acked; None if they never were."""
    index = bisect.bisect_left(acked_up_to, number)
    return times[index] if index < len(times) else None


def percentile(values, share):
    """The smallest value that at least `share` of them do not exceed."""
    if not values:
        return None
    ordered = sorted(values)
    rank = max(1, -(-len(ordered) * share // 1))
    return ordered[int(rank) - 1]
