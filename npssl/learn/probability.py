"""Chapter 2: from scores to probabilities to surprise."""

import numpy as np

from npssl.layers import log_sum_exp as lse_page
from npssl.layers import softmax as pages
from npssl.learn.exercise import Exercise
from npssl.losses import binary_cross_entropy as bce_page
from npssl.losses import cross_entropy as ce_page


def log_sum_exp(x):
    """y = log sum_j exp(x_j) of every row: a soft maximum.  Return dx.

    Hints:
    - dx has one number for each score, dy one for each row.
    - The derivative with respect to x_j is a probability.
    """
    top = x.max(-1, keepdims=True)
    e = np.exp(x - top)
    y = np.log(e.sum(-1)) + top[..., 0]

    def back(dy):
        return dy[..., None] * e / e.sum(-1, keepdims=True)

    return y, back


def softmax(x):
    """y_j = exp(x_j) / sum_k exp(x_k), row by row.  Return dx without any V x V matrix.

    Hints:
    - Every x_j moves every y_k of its row: two terms.
    - dy_k/dx_j = y_k (1[k = j] - y_j). Multiply by dy_k and sum over k.
    """
    e = np.exp(x - x.max(-1, keepdims=True))
    y = e / e.sum(-1, keepdims=True)

    def back(dy):
        return y * (dy - (y * dy).sum(-1, keepdims=True))

    return y, back


def log_softmax(x):
    """y = x - log sum exp(x), row by row.  Return dx.

    Hints:
    - The second term is the exercise before last.
    - Sum dy before you multiply it by the probabilities.
    """
    z = x - x.max(-1, keepdims=True)
    y = z - np.log(np.exp(z).sum(-1, keepdims=True))

    def back(dy):
        return dy - np.exp(y) * dy.sum(-1, keepdims=True)

    return y, back


def cross_entropy(logits, *, target):
    """Mean surprise -log p(target) over B rows of logits.  Return dlogits.

    Hints:
    - Predicted minus observed.
    - It is a mean over rows.
    """
    B = len(logits)
    z = logits - logits.max(-1, keepdims=True)
    log_p = z - np.log(np.exp(z).sum(-1, keepdims=True))
    value = -log_p[np.arange(B), target].mean()

    def back(dvalue=1.0):
        error = np.exp(log_p)
        error[np.arange(B), target] -= 1
        return dvalue * error / B

    return value, back


def smoothed_cross_entropy(logits, *, target, smoothing=0.1):
    """Cross-entropy against (1 - smoothing) on the target and smoothing / V on every word.

    Return dlogits.

    Hints:
    - Predicted minus observed still holds; what is observed changed.

    Derivation:
    For any q with sum 1, -sum_j q_j log p_j has the gradient p - q; here q_j is
    smoothing / V + (1 - smoothing) 1[j = target].  Then the mean over B rows.
    """
    B, V = logits.shape
    z = logits - logits.max(-1, keepdims=True)
    log_p = z - np.log(np.exp(z).sum(-1, keepdims=True))
    q = np.full((B, V), smoothing / V)
    q[np.arange(B), target] += 1 - smoothing
    value = -(q * log_p).sum() / B

    def back(dvalue=1.0):
        return dvalue * (np.exp(log_p) - q) / B

    return value, back


def binary_cross_entropy(logits, *, target):
    """Mean over all answers of softplus(s) - target s, with target 0 or 1.  Return dlogits.

    Hints:
    - The derivative of softplus is the sigmoid.
    - The mean is over B K answers.
    """
    value = (np.log(1 + np.exp(logits)) - target * logits).mean()

    def back(dvalue=1.0):
        return dvalue * (1 / (1 + np.exp(-logits)) - target) / logits.size

    return value, back


def z_loss(logits, *, weight=0.1):
    """weight times the mean squared log-partition, (log sum exp)^2.  Return dlogits.

    Hints:
    - An outer derivative, 2 log Z, and an inner one.

    Derivation:
    d (log Z)^2 = 2 log Z d log Z, and d log Z / dx_j = p_j; weight and mean as they stand.
    """
    top = logits.max(-1, keepdims=True)
    e = np.exp(logits - top)
    Z = e.sum(-1, keepdims=True)
    log_z = np.log(Z) + top
    value = weight * np.square(log_z).mean()

    def back(dvalue=1.0):
        return dvalue * weight * 2 * log_z * (e / Z) / len(logits)

    return value, back


def distillation(student, teacher, *, temperature=2.0):
    """Cross-entropy of the student under the teacher's probabilities, both at a temperature.

    value = -(1/B) sum q log p, q = softmax(teacher / T), p = softmax(student / T).
    The teacher learns too: return dstudent, dteacher.

    Hints:
    - dstudent: predicted minus observed, at a temperature.
    - dteacher: dq = -log p, and then back through q's softmax.
    - 1 / T comes back with each of the two divisions.

    Derivation:
    With s = student / T: ds = (p - q) / B.  With t = teacher / T: dq = -log p / B and by
    softmax's gradient dt = q (dq - sum q dq).  Both are divided by T once more.
    """

    def log_softmax(x):
        z = x - x.max(-1, keepdims=True)
        return z - np.log(np.exp(z).sum(-1, keepdims=True))

    log_p, q = log_softmax(student / temperature), np.exp(log_softmax(teacher / temperature))
    value = -(q * log_p).sum() / len(student)

    def back(dvalue=1.0):
        scale = dvalue / (len(student) * temperature)
        inner = log_p - (q * log_p).sum(-1, keepdims=True)
        return scale * (np.exp(log_p) - q), -scale * q * inner

    return value, back


EXERCISES = (
    Exercise(log_sum_exp, "x: B V", lse_page.log_sum_exp),
    Exercise(softmax, "x: B V", pages.softmax),
    Exercise(log_softmax, "x: B V", pages.log_softmax),
    Exercise(cross_entropy, "logits: B V; target: B < V", ce_page.cross_entropy),
    Exercise(smoothed_cross_entropy, "logits: B V; target: B < V"),
    Exercise(binary_cross_entropy, "logits: B K; target: B K < 2", bce_page.binary_cross_entropy),
    Exercise(z_loss, "logits: B V"),
    Exercise(distillation, "student: B V; teacher: B V"),
)
