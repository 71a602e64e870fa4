"""Ops with parameters in front: ``y, back = model(p, x)``, and ``back(dy, g)`` credits ``g``."""
