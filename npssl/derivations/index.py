"""Every derivation by the name of its op."""

from npssl.derivations import (
    comparison,
    elementwise,
    linear_maps,
    norms,
    pairs,
    sequences,
    spread,
    surprise,
    words,
)

CHAPTERS = (elementwise, linear_maps, norms, surprise, sequences, words, comparison, pairs, spread)
STEPS = {f.__name__: f for chapter in CHAPTERS for f in chapter.STEPS}
