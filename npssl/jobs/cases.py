"""What to feed every op, loss, model and task: the registry of the microscope.

``case(size, rng)`` draws one example.  ``size(low, high)`` draws an integer with
both ends included (NumPy's generator in ``npssl check``, hypothesis in the
tests), so let 0, 1 and odd sizes in wherever they are legal; ``rng`` draws the
values.  Arrays are float64: the callers cast them and change their strides.

- ``CASES[op] = case`` with ``case(size, rng) -> (arrays, options)``;
- ``MODELS[name] = case`` with ``case(size, rng) -> (op, arrays, options)``, where
  ``op`` is usually ``functional(net, params)``.

An op with variants draws the variant too: ``("erf", "tanh")[size(0, 1)]``.
A public op or loss that is missing here fails the tests.
"""

# layers -------------------------------------------------------------------------------------------

# losses -------------------------------------------------------------------------------------------

CASES: dict = {}

# models and tasks ---------------------------------------------------------------------------------

MODELS: dict = {}
