"""Which steps of the forward may be wrong together: rounds of a loop, gates, called functions."""

from npssl.clinic.trace import Step


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
    told: set[tuple] = set()
    for level in grouped:
        new = dict.fromkeys(cut for cut in level if cut not in told)
        told.update(new)
        yield {cut: shown[cut[0]] for cut in new}
