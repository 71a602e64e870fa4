"""A cause: what may be wrong, how well it explains the numbers, and how simple it is."""

from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Cause:
    """One explanation of what was claimed.

    ``explained`` is the share of the gap between the claimed and the true gradient that it
    accounts for; ``exact`` says that nothing is left; ``cost`` is how much it assumes.
    """

    name: str
    arguments: tuple[str, ...]
    evidence: str
    explained: float = 1.0
    exact: bool = True
    cost: float = 1.0
    value: float | None = None
    place: str = ""
    key: tuple = field(default=(), compare=False)

    def __str__(self):
        share = "" if self.exact else f" (explains {100 * self.explained:.0f} % of the gap)"
        return f"{self.name}: {self.evidence}{share}"


def ranked(causes, wrong):
    """Exact, broad and simple ones first; of one name and the same arguments only the best.

    The same explanation of several arguments is one cause.
    """
    groups: dict[tuple, list[Cause]] = {}
    for cause in causes:
        groups.setdefault((cause.name, *(cause.key or (cause.evidence,))), []).append(cause)
    merged = []
    for same in groups.values():
        best: dict[tuple, Cause] = {}
        for cause in same:
            known = best.get(cause.arguments)
            if known is None or (cause.exact, cause.explained) > (known.exact, known.explained):
                best[cause.arguments] = cause
        parts = list(best.values())
        if len({p.exact for p in parts}) > 1:
            merged += parts
            continue
        first = parts[0]
        merged.append(
            replace(
                first,
                arguments=tuple(dict.fromkeys(a for p in parts for a in p.arguments)),
                evidence=_told(parts),
                explained=min(p.explained for p in parts),
                cost=min(p.cost for p in parts),
            )
        )

    def order(cause):
        missed = 0 if not wrong else len(set(wrong) - set(cause.arguments))
        return (not cause.exact, cause.cost + 1.5 * missed, -cause.explained)

    kept: dict[tuple, Cause] = {}
    for cause in sorted(merged, key=order):
        kept.setdefault((cause.name, frozenset(cause.arguments)), cause)
    return list(kept.values())


def _told(parts):
    """The evidence for each argument, or for the first, if it is the same for all."""
    bare = {p.evidence.replace(f"d{p.arguments[0]}", "d") for p in parts}
    if len(parts) > 1 and len(bare) == 1:
        others = ", ".join(f"d{a}" for p in parts[1:] for a in p.arguments)
        return f"{parts[0].evidence}; the same for {others}"
    return "; ".join(dict.fromkeys(p.evidence for p in parts))
