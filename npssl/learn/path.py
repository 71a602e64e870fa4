"""The path: seven chapters, in the order in which they build on each other."""

from npssl.learn import distances, first_steps, probability, sequences, shapes, tests, words

CHAPTERS = (first_steps, probability, shapes, words, sequences, distances, tests)
PATH = {e.name: e for chapter in CHAPTERS for e in chapter.EXERCISES}


def find(name):
    """The exercise of that name."""
    if name not in PATH:
        near = [n for n in PATH if name in n] or list(PATH)
        raise ValueError(f"expected the name of an exercise, found {name!r}; try {', '.join(near)}")
    return PATH[name]
