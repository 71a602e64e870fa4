"""DrLIM: draw neighbours together, push all else apart, and a map appears.

    t : (B, h, w)                      pictures
    x : (2 B, h w), (B, 2) int         shifted pictures, and which two make a pair
    y : (B,) bool                      are the shifts of the two near each other?

    x_i = picture_i rolled by s_i,   x_{B+i} = another picture rolled by s_i + delta_i
    loss = the pair loss of  z = mlp(x):  |z_a - z_b|^2 / 2  or  max(0, margin - |z_a - z_b|)^2 / 2

The two pictures of a pair differ, so that the map has to forget the hand and to keep the
shift.  Rolling by the width comes back to the start: the map of all shifts is a ring.

Hadsell, Chopra & LeCun, "Dimensionality Reduction by Learning an Invariant Mapping", CVPR
2006; there neighbours of a picture are its nearest pictures and its shifts by one step, and
shifts do not come round.
"""

from dataclasses import dataclass

import numpy as np

from npssl.layers.activation import tanh
from npssl.losses.pair import pair
from npssl.models.dense import mlp, mlp_spec


@dataclass(frozen=True)
class Drlim:
    """A map in which near shifts are near.

    Parameters
    ----------
    height, width : int     of the pictures, pixels
    hidden : int            width of the hidden layer
    dim : int               of the map
    near : int              shifts that differ by up to so many pixels are neighbours
    margin : float          distance beyond which others are left alone
    """

    height: int = 28
    width: int = 28
    hidden: int = 128
    dim: int = 2
    near: int = 2
    margin: float = 1.0

    def __post_init__(self):
        if not 1 <= self.near < self.width // 2:
            raise ValueError(f"near: expected 1 to {self.width // 2 - 1} pixels, found {self.near}")

    def spec(self):
        """The parameters: those of the map."""
        return mlp_spec(self.height * self.width, self.hidden, self.dim)

    def split(self, t, rng=None):
        """Shifted pictures in pairs; without a generator the shifts are 0, 1, 2, ..."""
        B = len(t)
        if t.ndim != 3 or B < 2 or t.shape[1:] != (self.height, self.width):
            raise ValueError(f"t must be (2 or more, {self.height}, {self.width}), found {t.shape}")
        same = np.arange(B) % 2 == 0
        if rng is None:
            first, step, far = np.arange(B), np.full(B, self.near), np.full(B, self.near + 1)
        else:
            first = rng.integers(0, self.width, B)
            step = rng.integers(-self.near, self.near + 1, B)
            far = rng.integers(self.near + 1, self.width - self.near, B)
        second = first + np.where(same, step, far)
        both = np.concatenate([rolled(t, first), rolled(np.roll(t, 1, 0), second)])
        index = np.stack([np.arange(B), B + np.arange(B)], 1)
        return (both.reshape(2 * B, -1), index), same

    def embed(self, p, x):
        """Places on the map, (N, dim), of pictures (N, height width)."""
        return mlp(p, x, activation=tanh)

    def loss(self, p, x, y, rng=None):
        """Mean pair loss, squared units of the map."""
        pictures, index = x
        z, back_mlp = self.embed(p, pictures)
        value, back_pair = pair(z, index=index, same=y, margin=self.margin)

        def back(g, dvalue=1.0):
            back_mlp(back_pair(dvalue), g)

        return value, back

    def observe(self, p, x, y, rng=None):
        """What `npssl.evaluation.alarms` looks at: places, and the loss if all were one."""
        z, _ = self.embed(p, x[0])
        judge = lambda z: float(pair(z, index=x[1], same=y, margin=self.margin)[0])
        return {
            "z": z[: len(y)],  # the others are the same pictures, now and then at the same shift
            "scale": self.margin,
            "loss": judge(z),
            "margin": judge(np.zeros_like(z)),
        }


def rolled(t, shift):
    """Each picture to the right by its number of pixels; what leaves comes in on the left.

    >>> rolled(np.array([[[1, 2, 3]]]), np.array([1])).tolist()
    [[[3, 1, 2]]]
    """
    w = t.shape[2]
    column = (np.arange(w) - np.asarray(shift)[:, None]) % w
    return np.take_along_axis(t, np.broadcast_to(column[:, None], t.shape), 2)
