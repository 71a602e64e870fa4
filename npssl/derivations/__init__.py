"""Derivations that are executed: both sides of every numbered equation, at random points.

The equations stand in the docstring of the op.  Here is, under the same numbers, each of
them as numbers: a generator takes a random generator, draws a point, and yields

    number, left, relation, right

where the relation is ``"="``, ``"<="`` or ``">="``.  `npssl.derivations.steps.verify` runs
it at many points; a wrong step fails with its number and the worst point.
"""
