"""Pure arrays in, ``(y, back)`` out; one file an idea."""
