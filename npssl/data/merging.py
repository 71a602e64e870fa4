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
    with the smaller right id; within a word joins go from left to right.  So the outcome
    depends on the counts of the words alone.

    Parameters
    ----------
    words : iterable of (ids, count)        the tokens of each word, and how often it occurs
    tokens : sequence of str                the tokens to begin with
    size : int                              how many there shall be
    joined : (left, right) -> str           the token that two of them give
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
    symbol, weight = [BOUND], [0]  # all words in a row
    for word, count in words:
        symbol += [*word, BOUND]
        weight += [count] * (len(word) + 1)
    before, after = list(range(-1, len(symbol) - 1)), list(range(1, len(symbol) + 1))

    # A pair comes into being in the step that makes the younger of its two, all its places
    # from left to right; afterwards they only dwindle.  So a heap entry is at worst too high.
    counts: dict[int, int] = defaultdict(int)
    where: dict[int, list[int]] = defaultdict(list)  # places of the left one; some are stale
    for i, (a, b) in enumerate(zip(symbol, symbol[1:])):
        if a >= 0 and b >= 0:
            counts[a * BASE + b] += weight[i]
            where[a * BASE + b].append(i)
    heap = [(-count, pair) for pair, count in counts.items()]
    heapq.heapify(heap)

    while heap and len(tokens) < size:
        count, pair = heapq.heappop(heap)
        if -count != counts[pair]:
            heapq.heappush(heap, (-counts[pair], pair))
            continue
        if -count < min_count:
            break
        a, b = divmod(pair, BASE)
        new = len(tokens)
        pairs.append((tokens[a], tokens[b]))
        tokens.append(joined(tokens[a], tokens[b]))
        fresh = set()
        for i in where.pop(pair):
            j = after[i]
            if symbol[i] != a or symbol[j] != b:
                continue
            h, k, n = before[i], after[j], weight[i]
            symbol[i], symbol[j], after[i], before[k] = new, GONE, k, i
            if (left := symbol[h]) >= 0:
                counts[left * BASE + a] -= n
                counts[left * BASE + new] += n
                where[left * BASE + new].append(h)
                fresh.add(left * BASE + new)
            if (right := symbol[k]) >= 0:
                counts[b * BASE + right] -= n
                counts[new * BASE + right] += n
                where[new * BASE + right].append(i)
                fresh.add(new * BASE + right)
        del counts[pair]
        for pair in fresh:
            heapq.heappush(heap, (-counts[pair], pair))
    return tokens, pairs
