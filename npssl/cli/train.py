def add(commands):
    """Not there yet."""
