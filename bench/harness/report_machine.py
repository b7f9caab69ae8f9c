# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of the report: where it was measured, with what, what that cannot tell, and how to do it
again."""

from . import report_words as words
from . import stats
from .report_blocks import Bullets, Code, Fold, Heading, Link, Listing, Strong, paragraph

ROUNDS_TO_JUDGE_NOISE = 10


def sections(results):
    yield Heading(2, "The run")
    yield Bullets(tuple(run_items(results)))
    yield Heading(2, "The machine")
    yield Bullets(tuple(machine_items(results.meta["machine"])))
    yield from contenders(results.meta)
    yield Heading(2, "What this does not tell")
    yield Bullets(tuple(limits(results)))
    yield Heading(2, "How to do it again")
    yield from again(results.meta)


def run_items(results):
    meta = results.meta
    end = f"ended {meta['finished']}" if meta.get("finished") else "not finished"
    yield (Code(meta["name"]), f", begun {meta.get('started', 'some time')}, {end}; penstock at "
           "commit ", Code(str(meta.get("commit", "unknown"))))
    discarded, failed = results.count_of("discarded"), results.count_of("failed")
    rounds = {(run["cell"], run["round"]) for run in results.runs}
    yield (f"{words.plural(len(results.runs), 'run', 'runs')} in {len(rounds)} rounds of "
           f"{words.plural(len(results.cells), 'cell', 'cells')}",)
    yield (f"thrown away: {words.plural(discarded.total(), 'run', 'runs')}"
           + as_reasons(discarded),)
    yield (f"failed: {words.plural(failed.total(), 'run', 'runs')}" + as_reasons(failed),)
    foreign = results.foreign_share()
    if foreign is not None:
        yield (f"other programs used {words.percent(foreign)} of the two cores (median of the "
               "rounds)",)


def as_reasons(counter):
    return f"; {words.reasons(counter)}" if counter else ""


def machine_items(machine):
    yield (f"{machine.get('cpu', 'unknown CPU')}, {machine.get('cpus', '?')} CPUs; the proxy on "
           f"{machine.get('proxy_cpu', '?')}, generator and sink on "
           f"{machine.get('load_cpu', '?')}",)
    yield (f"Linux {machine.get('kernel', 'unknown')}, "
           f"{words.memory(machine.get('memory_kib'))} of memory, "
           f"{machine.get('fd_limit', '?')} file descriptors per process",)
    for name, value in sorted(machine.get("sysctl", {}).items()):
        yield (Code(f"{name} = {value}"),)


def contenders(meta):
    yield Heading(2, "Contenders")
    yield Bullets(tuple((Code(name), ": ", about.get("version") or "version unknown")
                        for name, about in meta["contenders"].items()))
    skipped = meta.get("skipped", {})
    if skipped:
        yield paragraph(Strong("Skipped:"))
        yield Bullets(tuple((Code(name), f": {why}") for name, why in skipped.items()))
    yield Fold("Commands and configurations", tuple(configs(meta["contenders"])))


def configs(all_contenders):
    for name, about in all_contenders.items():
        command, config = about.get("command"), about.get("config")
        if command or config:
            yield Heading(3, name)
        if command:
            yield Listing(command_words(command))
        if config:
            yield Listing(config)


def command_words(command):
    return command if isinstance(command, str) else " ".join(map(str, command))


def limits(results):
    yield ("Loopback only: no network card, no copy by DMA, no loss, and large segments, which "
           "flatters splice.",)
    yield (f"{results.meta['machine'].get('cpus', '?')} CPUs: generator and sink share one and "
           "limit the rate of most cells. The figures compare contenders; they are nobody's "
           "capacity.",)
    yield ("Neighbours make noise: one pair of runs moves by 10 to 20 %, so ratios are "
           "taken within rounds and have intervals." + noise(results) + " p99 and above show the "
           "neighbours as much as the proxy.",)
    yield ("Where a relay leaves data in its receive queue, a stream falls into a second regime, "
           "with half of the generator's CPU per byte and twice the proxy's; the achieved rate "
           "shows which one a run was in.",)
    yield ("Contenders that were in the rounds of the survey only have few runs, and their ranges "
           "say little; the goals rest on the pairs.",)


def noise(results):
    """How far apart the rounds of one contender in one cell were."""
    spreads = []
    for cell in results.cells:
        for row in results.rows(cell):
            cost = row.metric(cell["metrics"][0]["key"])
            if cost and len(row.counting) >= ROUNDS_TO_JUDGE_NOISE:
                spreads.append((cost[2] - cost[1]) / cost[0])
    if not spreads:
        return ""
    middle = words.percent(stats.median(spreads))
    return (f" Here the least and the greatest round of one contender in one cell were {middle} "
            "apart (median over all).")


def again(meta):
    yield Listing("make bench            # resumes a run that was stopped\n"
                  f"bench/report build/bench/{meta['name']} --markdown docs/BENCHMARKS.md \\\n"
                  f"    --html build/bench/{meta['name']}/report.html")
    yield paragraph("This page was made so, from the results alone; the HTML page has the figures, "
                    "too. Your own gateway is measured with ",
                    Code("penstock-bench load MODE --to HOST:PORT"), ", see ",
                    Link("bench/README.md", "bench/README.md"), ".")
