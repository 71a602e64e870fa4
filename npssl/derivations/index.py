"""Every derivation by the name of its op."""

from npssl.derivations import (
    comparison,
    elementwise,
    information,
    linear_maps,
    norms,
    pairs,
    sequences,
    spread,
    surprise,
    words,
)

CHAPTERS = (
    elementwise,
    linear_maps,
    norms,
    surprise,
    sequences,
    words,
    comparison,
    pairs,
    spread,
    information,
)
STEPS = {f.__name__: f for chapter in CHAPTERS for f in chapter.STEPS}
