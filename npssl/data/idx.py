"""Files in IDX, the format of MNIST: arrays of bytes behind a header."""

import numpy as np

from npssl.data.sets import open_any
from npssl.errors import FileError


def read_idx(path) -> np.ndarray:
    """The array of bytes in a file, which may be packed (.gz, .xz).

    Raises
    ------
    FileError
        if it is not IDX of unsigned bytes, or is shorter or longer than it says.
    """
    try:
        with open_any(path) as file:
            found = file.read()
    except EOFError as error:
        raise FileError(path, f"is cut off ({error})") from error
    if len(found) < 4 or found[:3] != b"\0\0\x08":
        raise FileError(path, "expected IDX of unsigned bytes (0, 0, 8), found another beginning")
    axes = found[3]
    sizes = np.frombuffer(found, ">u4", min(axes, (len(found) - 4) // 4), 4).astype(int).tolist()
    body = np.frombuffer(found, np.uint8)[4 + 4 * axes :]
    if len(sizes) < axes or body.size != int(np.prod(sizes)):
        raise FileError(path, f"expected the numbers of {sizes}, found {body.size}")
    return body.reshape(sizes)
