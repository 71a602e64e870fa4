"""One file for each way of supervising oneself: split(t) -> (x, y), and the loss."""
