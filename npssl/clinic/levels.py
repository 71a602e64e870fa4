"""Which steps of the forward may be wrong together: rounds of a loop, gates, called functions."""

from itertools import combinations

from npssl.clinic.trace import Step

PICKS = 4  # of as many ids at most all sets are tried


def levels(tape):
    """(steps to change together -> one of them), the likeliest first.

    An operand in all rounds of a loop, and so the functions that are called; of several in each
    round only one; single steps; and whole operations.
    """
    sites: dict[tuple, list] = {}
    shown: dict = {}
    for k, s in enumerate(tape.steps):
        sites.setdefault((s.site, s.op, s.operand), []).append(k)
        if s.picks:  # rows that are picked twice by the same ids are written to in one line
            sites.setdefault((s.direct, s.shape, s.picks), []).append(k)
        shown[k] = s
    for call in tape.calls.values():
        if call.first < call.last and call.given == call.returned:
            span = call.first, call.last
            sites.setdefault((call.site, call.name), []).append(span)
            shown[span] = Step(
                f"{call.name}()", 0, 1, call.place, False, call.first, (), call.given
            )
    times = [len(cuts) for cuts in sites.values() if len(cuts) > 1]
    rounds = max(set(times), key=times.count) if times else 1
    grouped: list[list[tuple]] = [[tuple(cuts) for cuts in sites.values()], [], [], []]
    for cuts in sites.values():
        each, left = divmod(len(cuts), rounds)
        if not left and each > 1:
            grouped[1] += [tuple(cuts[j::each]) for j in range(each)]
        grouped[2] += [(cut,) for cut in cuts]
    whole: dict[int, list[int]] = {}
    for k, s in enumerate(tape.steps):
        whole.setdefault(s.operation, []).append(k)
    grouped[3] = [tuple(cuts) for cuts in whole.values()]
    grouped[2] = [*_written_together(tape.steps), *grouped[2]]
    told: set[tuple] = set()
    for level in grouped:
        new = dict.fromkeys(cut for cut in level if cut not in told)
        told.update(new)
        yield {cut: shown[cut[0]] for cut in new}


def _written_together(steps):
    """Indexings of one array by several ids, those first that may be written over the others."""
    picks: dict[tuple, dict[bytes, list]] = {}
    for k, s in enumerate(steps):
        if s.picks:
            picks.setdefault((s.direct, s.shape), {}).setdefault(s.picks, []).append(k)
    for by_ids in picks.values():
        if not 1 < len(by_ids) <= PICKS:
            continue
        for ids, mine in by_ids.items():
            rest = [cuts for other, cuts in by_ids.items() if other != ids]
            for many in range(1, len(rest) + 1):
                for some in combinations(rest, many):
                    yield (*mine, *(k for cuts in some for k in cuts))
