"""Learning a vocabulary by joining the pair that occurs most often, again and again.

Sennrich, Haddow & Birch, "Neural Machine Translation of Rare Words with Subword Units",
ACL 2016, arXiv:1508.07909, algorithm 1.  There every step counts all pairs anew; here a
join changes the counts of the pairs beside it and of no other, and a heap knows the most
frequent one, so that the whole costs about as much as the joins that it makes.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

BASE = 1 << 24  # a pair is the number a * BASE + b: small, hashed fast, ordered as (a, b)
FIRST = 1 << 62
BOUND, GONE = -1, -2  # in place of symbols: between words, swallowed by the one before


def learn(
    words: Iterable[tuple[Sequence[int], int]],
    tokens: Sequence[str],
    size: int,
    *,
    joined: Callable[[str, str], str],
    min_count: int = 1,
) -> tuple[list[str], list[tuple[str, str]]]:
    """Join pairs until there are ``size`` tokens or no pair occurs ``min_count`` times.

    Of pairs of one count the one with the smaller left id is joined first, then the one
    with the smaller right id.  At every step the words stand as someone would cut them who
    joins the learnt pairs, the earliest learnt first: if joining "a bc" brings forth an
    "abc" beside a "d" and "abc d" was learnt before, these are joined at once.

    Parameters
    ----------
    words : iterable of (ids, count)        the tokens of each word, and how often it occurs
    tokens : sequence of str                the tokens to begin with
    size : int                              how many there shall be
    joined : (left, right) -> str           what two tokens give; two pairs may give the same
    min_count : int                         rarer pairs are left alone

    Returns
    -------
    tokens : list of str                    the ones to begin with, then as they were learnt
    pairs : list of (str, str)              as they were learnt

    Examples
    --------
    >>> tokens, pairs = learn([((0, 1, 2), 5), ((1, 2), 4)], "abc", 5, joined=str.__add__)
    >>> tokens, pairs
    (['a', 'b', 'c', 'bc', 'abc'], [('b', 'c'), ('a', 'bc')])
    """
    tokens = list(tokens)
    pairs: list[tuple[str, str]] = []
    ids = {token: i for i, token in enumerate(tokens)}
    symbol, weight = [BOUND], [0]  # all words in a row
    for word, count in words:
        symbol += [*word, BOUND]
        weight += [count] * (len(word) + 1)
    before, after = list(range(-1, len(symbol) - 1)), list(range(1, len(symbol) + 1))

    counts: dict[int, int] = defaultdict(int)
    where: dict[int, list[int]] = defaultdict(list)  # places of the left one; some are stale
    for i, (a, b) in enumerate(zip(symbol, symbol[1:])):
        if a >= 0 and b >= 0:
            counts[a * BASE + b] += weight[i]
            where[a * BASE + b].append(i)
    rank: dict[int, int] = {}  # of the pairs learnt

    def turn(pair):
        return rank[pair] - FIRST if pair in rank else -counts.get(pair, 0)

    heap = [(-count, pair) for pair, count in counts.items()]
    heapq.heapify(heap)
    while heap and len(tokens) < size:
        urgency, pair = heapq.heappop(heap)
        if urgency != turn(pair):  # it has changed since it was put there
            heapq.heappush(heap, (turn(pair), pair))
            continue
        if -urgency < min_count:
            break
        a, b = divmod(pair, BASE)
        token = joined(tokens[a], tokens[b])
        new = ids.setdefault(token, len(tokens))
        if new == len(tokens):
            tokens.append(token)
        if pair not in rank:
            rank[pair] = len(pairs)
            pairs.append((tokens[a], tokens[b]))
        changed = set()
        for i in sorted(where.pop(pair, ())):  # from left to right
            if symbol[i] != a or symbol[j := after[i]] != b:
                continue
            symbol[i], symbol[j] = new, GONE
            h, k, n = before[i], after[j], weight[i]
            after[i] = k
            before[k] = i
            if (left := symbol[h]) >= 0:
                counts[left * BASE + a] -= n
                fresh = left * BASE + new
                counts[fresh] += n
                where[fresh].append(h)
                changed.add(fresh)
            if (right := symbol[k]) >= 0:
                counts[b * BASE + right] -= n
                fresh = new * BASE + right
                counts[fresh] += n
                where[fresh].append(i)
                changed.add(fresh)
        counts.pop(pair, None)
        for fresh in changed:
            heapq.heappush(heap, (turn(fresh), fresh))
    return tokens, pairs
