"""A factor as a person would say it: the batch size, 1/N, a temperature, n against n - 1."""

import math


def spell(c, scene):
    """(what the number ``c`` is, how plain that is), plainest first; near misses do not count."""
    near = 1e-3 if scene.coarse else 1e-6
    found = [(cost, text) for value, text, cost in _known(scene) if _same(c, value, near)]
    return [(text, cost) for cost, text in sorted(found)]


def _same(a, b, near):
    return abs(a - b) <= near * max(abs(a), abs(b))


def _known(scene):
    yield -1.0, "the sign", 0.0
    yield 2.0, "2: a factor 2 too many, as from a square", 0.1
    yield 0.5, "1/2: a factor 2 is missing, as from a square, or one of two equal terms", 0.1
    yield -2.0, "-2", 0.3
    yield -0.5, "-1/2", 0.3
    yield from ((float(k), str(k), 0.6) for k in (3, 4, -3, -4))
    yield from ((1 / k, f"1/{k}", 0.6) for k in (3, 4, -3, -4))
    lengths = {}
    for name, shape in _shapes(scene):
        for axis, n in enumerate(shape):
            lengths.setdefault(n, f"{n}, the length of {name}'s axis {axis}")
    for name, shape in _shapes(scene):
        for axis in range(len(shape) - 1):
            n = shape[axis] * shape[axis + 1]
            lengths.setdefault(n, f"{n}, axes {axis} and {axis + 1} of {name}")
        n = math.prod(shape)
        lengths.setdefault(n, f"{n}, the number of entries of {name}")
    for n, text in lengths.items():
        if n < 2:
            continue
        yield float(n), f"{text}: the mean's 1/{n} is missing", 0.2
        yield 1 / n, f"1/{text}: the mean's 1/{n} is there once too often", 0.2
        yield -float(n), f"minus {text}", 0.5
        yield -1 / n, f"minus 1/{text}", 0.5
        yield math.sqrt(n), f"the square root of {text}", 0.4
        yield 1 / math.sqrt(n), f"1/the square root of {text}", 0.4
        yield 1 / n**2, f"1/({text}) squared", 0.5
        yield float(n * n), f"({text}) squared", 0.5
        yield n / (n - 1), f"n/(n-1) with n = {text}: n - 1 for n", 0.3
        yield (n - 1) / n, f"(n-1)/n with n = {text}: n for n - 1", 0.3
        yield float(n - 1), f"n - 1 with n = {text}", 0.5
        yield 1 / (n - 1), f"1/(n-1) with n = {text}", 0.5
    for name, value in scene.subject.options.items():
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value not in (0, 1):
            v = float(value)
            yield v, f"{name} = {v:g}: it is there once too often", 0.2
            yield 1 / v, f"1/{name} = 1/{v:g}: {name} is missing", 0.2
            yield v * v, f"{name} squared", 0.4
            yield 1 / v**2, f"1/{name} squared", 0.4
            if v != 1:
                yield 1 - v, f"1 - {name}, with {name} = {v:g}", 0.2
                yield 1 / (1 - v), f"1/(1 - {name}), with {name} = {v:g}", 0.2
    for k, text in (
        (math.pi, "pi"),
        (math.log(2), "log 2"),
        (math.e, "e"),
        (math.sqrt(2), "sqrt 2"),
    ):
        yield k, text, 0.7
        yield 1 / k, f"1/{text}", 0.7


def _shapes(scene):
    """Batches first: what a mean is usually over."""
    for k, shape in enumerate(scene.shapes):
        yield ("y" if len(scene.shapes) == 1 else f"output {k}"), shape
    for name, a in zip(scene.names, scene.arrays):
        yield name, a.shape
    for name, value in scene.subject.options.items():
        if hasattr(value, "shape"):
            yield name, value.shape
