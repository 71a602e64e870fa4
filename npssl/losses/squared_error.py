"""Squared error."""

import numpy as np


def squared_error(prediction, *, target):
    r"""Mean squared distance of each number from its target.

    Parameters
    ----------
    prediction : (...)
    target : (...)          numbers to be hit, in the units of prediction

    Returns
    -------
    value : ()              mean over all numbers, in squared units; no numbers: 0
    back : dvalue=1.0 -> dprediction (...)

    Keeps
    -----
    miss

    Derivation
    ----------
    With N numbers in all::

        miss  = prediction - target                                          (1)
        value = sum miss^2 / N                                               (2)
        dprediction = 2 miss / N                                             (3)

    A fact to check by eye: if the prediction is one constant for all, the
    gradient vanishes at the mean of the targets, and the value there is their
    variance.

    Raises
    ------
    ValueError
        if target has not the shape of prediction: (N, 1) minus (N,) would be an
        (N, N) table, and training would go on, towards the mean.

    Notes
    -----
    No factor 1/2, as in PyTorch's ``mse_loss``.  Twice the mean nats of a Gaussian
    with unit variance, up to a constant.

    References
    ----------
    Gauss, "Theoria combinationis observationum erroribus minimis obnoxiae", 1821.

    Examples
    --------
    >>> import numpy as np
    >>> from npssl.check import check
    >>> check(squared_error, np.array([1.0, 2.0]), target=np.array([0.0, 2.5])) < 1e-12
    True
    """
    target = np.asarray(target)
    if target.shape != prediction.shape:
        raise ValueError(
            f"target must have the shape {prediction.shape} of prediction, found {target.shape}"
        )
    miss = prediction - target.astype(prediction.real.dtype)  # (1)
    N = max(1, miss.size)
    value = np.square(miss).sum() / N  # (2)

    def back(dvalue=1.0):
        return miss * (2 * float(dvalue) / N)  # (3)

    return value, back
