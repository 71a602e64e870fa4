"""Number the words of a text as they appear, and count them.

Two counters do the same: `PlainCounter` with a dict, as one would write it, and
`ByteCounter` with a hash table over bytes in Numba, of which no word becomes a
Python object.  Both number the words in the order of their first appearance.
"""

import numpy as np

from npssl.kernels import enabled

END = -1  # ends a sentence


class PlainCounter:
    """Words as Python objects in a dict: the page that `ByteCounter` must agree with.

    Parameters
    ----------
    separators : bytes          what stands between words; a line end is always one of them
    longest : int or None       longer words are cut to so many bytes
    """

    def __init__(self, separators, longest=None):
        self.separators, self.longest = separators, longest
        self.ids = _Numbers()
        self._counts = np.zeros(0, np.int64)

    def __len__(self):
        return len(self.ids)

    def scan(self, block, start, stop):
        """Ids of the words in ``block[start:stop]``, and `END` for each line end: (n,) int32."""
        blank = self.separators.replace(b"\n", b"")
        table = bytes.maketrans(blank, b" " * len(blank))
        found = []
        for number, line in enumerate(bytes(block[start:stop]).translate(table).split(b"\n")):
            if number:
                found.append(END)
            found += [self.ids[word[: self.longest]] for word in line.split(b" ") if word]
        return self.count(np.array(found, np.int32))

    def count(self, ids):
        """Add one for each of these ids; returns them."""
        more = np.bincount(ids[ids >= 0], minlength=len(self))
        more[: len(self._counts)] += self._counts
        self._counts = more
        return ids

    def counts(self):
        """How often each word has been seen: (len(self),) int64."""
        return self._counts

    def text(self):
        """All words in the order of their ids, a line end after each: bytes."""
        return b"".join(word + b"\n" for word in self.ids)


class TokenCounter(PlainCounter):
    """Words that are str already, in sentences that are lists."""

    def __init__(self):
        super().__init__(b"\n")
        self.ids = _Words()

    def ids_of(self, sentence, number):
        """The ids of a sentence's words, as a list; ``number`` is for messages."""
        if isinstance(sentence, (str, bytes)) or not hasattr(sentence, "__iter__"):
            raise TypeError(
                f"source: sentence {number}: expected a list of str, "
                f"found {type(sentence).__name__}"
            )
        sentence = list(sentence)
        ids = self.ids
        try:
            return [ids[word] for word in sentence]
        except (TypeError, ValueError) as error:
            for place, word in enumerate(sentence):
                if not isinstance(word, str) or "\n" in word:
                    raise type(error)(
                        f"source: sentence {number}, word {place}: expected a str without line "
                        f"end, found {type(word).__name__} {word!r:.60}"
                    ) from None
            raise

    def text(self):
        return "".join(word + "\n" for word in self.ids).encode("utf-8", "surrogatepass")


class _Numbers(dict):
    """A dict that gives each new key the next number."""

    def __missing__(self, key):
        self[key] = number = len(self)
        return number


class _Words(_Numbers):
    """The same for str without line ends."""

    def __missing__(self, key):
        if not isinstance(key, str):
            raise TypeError
        if "\n" in key:
            raise ValueError
        return super().__missing__(key)


class ByteCounter:
    """The same as `PlainCounter` by `npssl.kernels.text`: words stay bytes in one array."""

    def __init__(self, separators, longest=None):
        from npssl.kernels import text

        self.kernel, self.longest = text, longest or 0
        self.table = np.zeros(4 << 12, np.uint64)
        self.letters = np.empty(1 << 16, np.uint8)
        self.state = np.zeros(3, np.int64)
        self.ids = np.empty(0, np.int32)

    def __len__(self):
        return int(self.state[self.kernel.KNOWN])

    def scan(self, block, start, stop):
        """As `PlainCounter.scan`; but `npssl.kernels.text.SLACK` bytes of anything must
        follow the block, and the ids are valid until the next scan."""
        block = np.frombuffer(block, np.uint8)
        if not block.flags.writeable:
            block = block.copy()
        if len(self.ids) < stop - start + 1:
            self.ids = np.empty(stop - start + 1, np.int32)
        self.state[self.kernel.FOUND] = 0
        while start < stop:
            start = self.kernel.scan(
                block, start, stop, self.longest, self.table, self.letters, self.ids, self.state
            )
            if start < stop:
                self._grow()
        return self.ids[: self.state[self.kernel.FOUND]]

    def _grow(self):
        """Make room for more words: in the table if that is full, else for their letters."""
        if self.kernel.full(len(self), len(self.table)):
            larger = np.zeros(2 * len(self.table), np.uint64)
            self.kernel.rehash(self.table, larger)
            self.table = larger
        else:
            self.letters.resize(2 * len(self.letters), refcheck=False)

    def counts(self):
        out = np.zeros(len(self), np.int64)
        self.kernel.counts(self.table, out)
        return out

    @property
    def used(self):
        """How long `text` is, in bytes."""
        return int(self.state[self.kernel.USED])

    def text(self, start=0):
        """As `PlainCounter.text`, from byte ``start`` on."""
        return self.letters[start : self.used].tobytes()


def counter(separators, longest=None):
    """The faster counter, unless Numba is switched off."""
    if enabled():
        from npssl.kernels.text import usable

        if usable:
            return ByteCounter(separators, longest)
    return PlainCounter(separators, longest)
