"""Ops that end in one number, in nats unless they say otherwise."""
