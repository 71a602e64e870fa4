"""Classification of texts by the mean of their word vectors.

    t : (ids (M,), offsets (B + 1,)), labels (B,)    texts as bags of words, and their classes
    x : ids, offsets                                 the bags
    y : labels                                       the classes

    p(y | x) = softmax(mlp(mean_{m in x} E[ids_m]))[y],   E the word vectors

Nothing supervises itself here: it is the extrinsic test of vectors that were
trained elsewhere.  Frozen, E is a constant and only the perceptron learns,

    min_head  -log p(y | x);    fine-tuned,    min_{head, E}  -log p(y | x).

Iyyer, Manjunatha, Boyd-Graber & Daume, "Deep Unordered Composition Rivals Syntactic
Methods for Text Classification", ACL 2015 (the classifier); Collobert et al., "Natural
Language Processing (Almost) from Scratch", JMLR 12, 2011, section 4 (pre-trained vectors,
fine-tuned).
"""

from dataclasses import dataclass

import numpy as np

from npssl.losses.cross_entropy import cross_entropy
from npssl.models.bag import bag_classifier, bag_classifier_spec


@dataclass(frozen=True)
class Classify:
    """Predict the class of a text from its bag of word vectors.

    Parameters
    ----------
    words, width : int      size of the table of vectors
    classes : int
    hidden : tuple of int   widths of the perceptron's hidden layers; () is a linear classifier
    frozen : bool           the table gets no gradient
    rate : float            dropout on the mean vector and in the head
    std : float             deviation of the table's first draw
    """

    words: int
    width: int
    classes: int
    hidden: tuple[int, ...] = (100,)
    frozen: bool = False
    rate: float = 0.0
    std: float = 1.0

    def spec(self):
        """Parameters: ``table`` (words, width) and ``head``."""
        return bag_classifier_spec(
            self.words, self.width, *self.hidden, classes=self.classes, std=self.std
        )

    def split(self, t, rng=None):
        """The bags and their classes; here nothing is drawn."""
        return t

    def logits(self, p, x, rng=None):
        """Scores of the classes (B, classes), and the way back to ``table`` and ``head``."""
        ids, offsets = x
        return bag_classifier(
            p, ids=ids, offsets=offsets, frozen=self.frozen, rate=self.rate, rng=rng
        )

    def loss(self, p, x, y, rng=None):
        """Mean nats a text."""
        scores, back_model = self.logits(p, x, rng)
        value, back_loss = cross_entropy(scores, target=y)

        def back(g, dvalue=1.0):
            back_model(back_loss(dvalue), g)

        return value, back

    def predict(self, p, x) -> np.ndarray:
        """The most probable class of each text, (B,)."""
        return self.logits(p, x)[0].argmax(-1)
