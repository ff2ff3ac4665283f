"""What is said of a run when it is over."""

import collections

import faults
import recovery
import workload


def findings(run):
    """What must not be, in words."""
    found = []
    produced = workload.numbers_in(run.path("produced.log"))
    received = workload.numbers_in(run.path("received.log"))
    missing = sorted(produced - received)
    if run.oracle.lost:
        found.append(f"{len(run.oracle.lost)} acked and not in the output: "
                     f"{sorted(run.oracle.lost)[:10]}")
    if missing:
        found.append(f"{len(missing)} produced and never in the output: {missing[:10]}")
    if received - produced:
        found.append(f"never produced, but in the output: {sorted(received - produced)[:10]}")
    if run.oracle.malformed:
        found.append(f"output that is no number: {run.oracle.malformed[:10]}")
    if run.oracle.dead:
        found.append(f"{run.oracle.dead} in the dead letters, though no message is bad")
    if run.supervisor.unexpected:
        ends = collections.Counter(run.supervisor.unexpected)
        found.append("ended by themselves: " + ", ".join(
            f"{name} with {code} ({count})" for (name, code), count in sorted(ends.items())))
    return found


def table(title, times):
    lines = [f"{title:37}  times    p50    p99    max"]
    for label in sorted(times):
        took = times[label]
        lines.append(f"  {label:35}{len(took):7}  {recovery.percentile(took, 0.5):5.2f}  "
                     f"{recovery.percentile(took, 0.99):5.2f}  {max(took):5.2f}")
    return lines


def print_summary(run, lease_s, drained_s, found):
    counts = run.executor.counts
    by_kind = {what: {kind: counts[what, kind] for kind in faults.KINDS if counts[what, kind]}
               for what in faults.FAULTS}
    lines = [f"seed {run.options.seed}, {run.options.minutes:g} min, {run.options.rate}/s, "
             f"lease {lease_s:g} s"]
    lines.append(f"messages produced  {run.producer.produced}")
    lines.append(f"messages acked     {run.oracle.acked}")
    for what in faults.FAULTS:
        kinds = ", ".join(f"{kind} {count}" for kind, count in by_kind[what].items())
        lines.append(f"{what + 's':18} {sum(by_kind[what].values())}"
                     + (f"  ({kinds})" if kinds else ""))
    directions = {d: counts["direction", d] for d in ("in", "out", "both")}
    if any(directions.values()):
        lines.append(f"{'':18} one-way {directions['in'] + directions['out']}, "
                     f"two-way {directions['both']}")
    lines.append(f"restarts           {run.supervisor.restarts}")
    lines.append(f"lost               {len(run.oracle.lost)}")
    lines.append(f"duplicates         {run.oracle.duplicates}")
    if drained_s is not None:
        lines.append(f"drained            in {drained_s:.1f} s: nothing pending, nothing in flight")
    lines += table("until full flow after (seconds)", run.recoveries)
    lines += table("until all produced before was acked", run.backlogs())
    lines += [f"FOUND: {finding}" for finding in found]
    text = "\n".join(lines)
    print(f"\n{text}", flush=True)
    with open(run.path("summary.txt"), "w", encoding="utf-8") as file:
        file.write(text + "\n")
