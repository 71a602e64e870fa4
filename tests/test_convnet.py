"""The convolutional encoder: moments of the data make evaluation a function of parameters."""

import numpy as np
import pytest

from npssl.models.convnet import conv_encoder, conv_encoder_spec, conv_moments
from npssl.params import Params


@pytest.fixture
def params():
    p = Params(conv_encoder_spec(2, 4, 6, out=3), np.random.default_rng(0), dtype=np.float64)
    p.flat += 0.1 * np.random.default_rng(1).normal(size=p.flat.shape)
    return p


def images(n, seed=2):
    return np.random.default_rng(seed).normal(size=(n, 9, 8, 2))


def test_moments_of_one_batch_are_that_batchs(params):
    """Evaluation on the very data that gave the moments is training's forward."""
    x = images(6)
    trained, _ = conv_encoder(params.tree, x, norm="batch")
    moments = conv_moments(params.tree, [x])
    fixed, _ = conv_encoder(params.tree, x, norm="batch", moments=moments)
    np.testing.assert_allclose(fixed, trained, atol=1e-12)


def test_moments_do_not_depend_on_how_data_are_cut(params):
    x = images(7)
    whole, parts = (conv_moments(params.tree, b) for b in ([x], [x[:2], x[2:]]))
    for a, b in zip(whole, parts):
        np.testing.assert_allclose(a, b, atol=1e-12)


def test_with_moments_images_do_not_see_each_other(params):
    x, moments = images(5), conv_moments(params.tree, [images(8, 3)])
    alone = conv_encoder(params.tree, x[:1], norm="batch", moments=moments)[0]
    together = conv_encoder(params.tree, x, norm="batch", moments=moments)[0]
    np.testing.assert_allclose(alone, together[:1], atol=1e-12)


def test_bad_input(params):
    with pytest.raises(ValueError, match="norm must be"):
        conv_encoder(params.tree, images(1), norm="layer")
    with pytest.raises(ValueError, match=r"h, w >= 4, found \(1, 3, 8, 2\)"):
        conv_encoder(params.tree, images(1)[:, :3])
    with pytest.raises(ValueError, match="at least one image"):
        conv_moments(params.tree, [])
    with pytest.raises(ValueError, match="widths"):
        conv_encoder_spec(1, out=2)
