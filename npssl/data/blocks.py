"""Cut streams of text into blocks of bounded size.

No more than two blocks are held at a time, however long the text or its lines are.
"""

from __future__ import annotations

from collections.abc import Iterator

WHITESPACE = b" \n\t\r\v\f"  # as `bytes.split` has it
BLOCK = 4 << 20
SLACK = 128  # bytes that may be read, not used, behind the end of a block
LONGEST = 64 << 20  # no text has a longer word


def blocks(source, size=BLOCK, *, blank=WHITESPACE, whole=True) -> Iterator[tuple[bytearray, int]]:
    """Cut the streams of a source into blocks that begin and end between words.

    Parameters
    ----------
    source : Files or Lines
    size : int       bytes of a block; a longer word makes its block longer
    blank : bytes    where text may be cut
    whole : bool     end each stream with a line end and take a byte order mark from its
                     beginning; if False leave out what follows the last blank

    Yields
    ------
    block, n : bytearray, int     ``block[:n]`` is the text, `SLACK` bytes follow;
                                  valid until the block after the next is asked for
    """
    block, spare = bytearray(size + SLACK), bytearray(size + SLACK)
    for stream in source.streams():
        kept, first = 0, True
        while True:
            n = _fill(source, stream, block, kept)
            if first and whole and block[: min(n, 3)] == b"\xef\xbb\xbf":
                block[:3] = b"   "
            first, ended = False, n < len(block) - SLACK
            if ended and whole:
                block[n : n + 1] = b"\n"
                n += 1
            cut = last_blank(block, n, blank)
            if not cut and not ended:  # one word fills the block
                if len(block) >= LONGEST + SLACK:
                    raise ValueError(
                        f"{source.name}: a word of more than {LONGEST >> 20} MiB: is this text?"
                    )
                block, kept = block + bytes(len(block) - SLACK), n
                continue
            if cut:  # the other block may be in use until this one has been given away
                yield block, cut
                kept = n - cut
                if len(spare) < len(block):
                    spare = bytearray(len(block))
                spare[:kept] = memoryview(block)[cut:n]
                block, spare = spare, block
            if ended:
                break


def _fill(source, stream, block, n):
    end = len(block) - SLACK
    with memoryview(block) as view:
        while n < end:
            with source.errors():
                more = stream.readinto(view[n:end])
            if not more:
                break
            n += more
            source.read += more
    return n


def last_blank(block, n, blank=WHITESPACE) -> int:
    """Just after the last blank of ``block[:n]``; 0 where there is none.

    >>> last_blank(b"one two", 7)
    4
    """
    for start in (max(0, n - 1024), 0):  # nearly always near the end
        found = max(block.rfind(blank[i : i + 1], start, n) for i in range(len(blank)))
        if found >= 0:
            return found + 1
    return 0
