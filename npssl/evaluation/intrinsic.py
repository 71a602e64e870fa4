"""All intrinsic tests of word vectors, one after the other."""

from __future__ import annotations

from npssl.evaluation import analogies, categorization, outliers, synonyms, word_pairs

KINDS = {
    "pairs": word_pairs,
    "analogies": analogies,
    "categories": categorization,
    "outliers": outliers,
    "synonyms": synonyms,
}

# what it is called here, its kind, its name in npssl.data.sets
KNOWN = (
    ("WordSim-353", "pairs", "wordsim-353/all"),
    ("WordSim-353 similarity", "pairs", "wordsim-353/similarity"),
    ("WordSim-353 relatedness", "pairs", "wordsim-353/relatedness"),
    ("SimLex-999", "pairs", "simlex-999"),
    ("Google analogies", "analogies", "analogies"),
    ("AP", "categories", "word-categorization/ap"),
    ("BLESS", "categories", "word-categorization/bless"),
    ("8-8-8", "outliers", "word-outlier"),
)


def known_tests():
    """The public test sets: (those that are here as (name, kind, path), names of the others).

    Nothing is fetched.
    """
    from npssl.data.sets import find

    here, absent = [], []
    for title, kind, name in KNOWN:
        found = find(name)
        if found:
            here.append((title, kind, found[0]))
        else:
            absent.append(name)
    return here, absent


def read(tests):
    """(name, kind, questions) for each (name, kind, path), kind one of `KINDS`.

    Raises
    ------
    FileError     naming file and line
    """
    return [(name, kind, KINDS[kind].read(path)) for name, kind, path in tests]


def evaluate(wv, tests, *, restrict_vocab=None, case_insensitive=True, method="cosadd", seed=0):
    """Run tests.

    Parameters
    ----------
    wv : WordVectors
    tests : iterable of (name, kind, questions), as `read` has them
    restrict_vocab, method : for pairs and analogies, analogies
    case_insensitive : bool
    seed : int     for the clusters of categories

    Yields
    ------
    dict     test, kind, score (Spearman, accuracy or purity; None if nothing is covered),
             items, covered, and all that the test itself tells
    """
    for name, kind, questions in tests:
        options: dict = {"case_insensitive": case_insensitive}
        if kind in ("pairs", "analogies"):
            options["restrict_vocab"] = restrict_vocab
        if kind == "analogies":
            options["method"] = method
        if kind == "categories":
            options["seed"] = seed
        found = KINDS[kind].evaluate(wv, questions, **options)
        if kind == "analogies":
            found = analogies.summary(found)
            found |= found["total"]
        items, score = _figures(kind, found)
        yield {"test": name, "kind": kind, "score": score, "items": items, **found}


def _figures(kind, found):
    items = {"pairs": "pairs", "categories": "words", "outliers": "cases"}.get(kind, "questions")
    score = {"pairs": "spearman", "categories": "purity"}.get(kind, "accuracy")
    value = found[score][0] if kind == "pairs" else found[score]
    return found[items], value if found["covered"] else None
