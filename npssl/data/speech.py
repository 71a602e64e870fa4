"""Sequences like speech, made from a seed: who speaks and what is said are known exactly.

A source (pulses at the speaker's pitch for voiced phones, noise for the others) goes through
a filter with three resonances, the formants of the phone, all moved by the length of the
speaker's vocal tract; then comes the speaker's gain, and noise.  Which phone follows which is
a Markov chain, and each lasts for a random time: so what comes next can be guessed.

The source-filter model is Fant's, "Acoustic Theory of Speech Production", 1960.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Speech:
    """A language of a few phones and its speakers, all drawn from ``seed``.

    Parameters
    ----------
    phones, speakers : int
    rate : int              samples a second
    seconds : float         mean duration of a phone
    noise : float           deviation of the noise, next to a speech of deviation about 1
    followers : int         phones that often follow a phone
    seed : int

    Examples
    --------
    >>> waves, phones, speakers = Speech().draw(3, 800, np.random.default_rng(0))
    >>> waves.shape, phones.shape, speakers.shape
    ((3, 800), (3, 800), (3,))
    """

    phones: int = 10
    speakers: int = 8
    rate: int = 4000
    seconds: float = 0.08
    noise: float = 0.1
    followers: int = 3
    seed: int = 0

    def __post_init__(self):
        for name in ("phones", "speakers", "rate", "seconds", "followers"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, found {getattr(self, name)}")

    def language(self):
        """Formants (P, 3) and their widths in hertz, voiced (P,), and the chain (P, P)."""
        rng, P = np.random.default_rng([self.seed, 1]), self.phones
        low, middle, high = (0.07, 0.18), (0.2, 0.32), (0.34, 0.45)
        formants = self.rate * np.stack([rng.uniform(*r, P) for r in (low, middle, high)], 1)
        widths = np.array([60.0, 90.0, 120.0]) * self.rate / 8000
        voiced = rng.random(P) < 0.7
        voiced[0] = True
        chain = np.full((P, P), 0.1 / P)
        for row in chain:
            row[rng.permutation(P)[: self.followers]] += 0.9 / min(P, self.followers)
        np.fill_diagonal(chain, 0 if P > 1 else 1)
        return formants, widths, voiced, chain / chain.sum(1, keepdims=True)

    def voices(self):
        """Pitch in hertz, length of the vocal tract, and gain of each speaker."""
        rng, n = np.random.default_rng([self.seed, 2]), self.speakers
        pitch = 80 * 3 ** rng.permutation(np.linspace(0, 1, n))
        return pitch, rng.uniform(0.88, 1.12, n), rng.uniform(0.6, 1.6, n)

    def draw(self, n: int, samples: int, rng):
        """So many utterances: waves (n, samples) float32, phone of each sample, speakers (n,)."""
        speakers = rng.integers(0, self.speakers, n)
        waves = np.empty((n, samples), np.float32)
        phones = np.empty((n, samples), np.int64)
        language, voices = self.language(), self.voices()
        for i, speaker in enumerate(speakers):
            phones[i] = self._said(language[3], samples, rng)
            voice = tuple(float(a[speaker]) for a in voices)
            waves[i] = self._wave(language, voice, phones[i], rng)
        return waves, phones, speakers

    def _said(self, chain, samples, rng):
        """The phone of each sample."""
        found, phone, mean = [], int(rng.integers(self.phones)), self.seconds * self.rate
        total = 0
        while total < samples:
            lasts = 1 + int(rng.gamma(6, mean / 6))
            found.append(np.full(lasts, phone))
            total += lasts
            phone = int(rng.choice(self.phones, p=chain[phone]))
        return np.concatenate(found)[:samples]

    def _wave(self, language, voice, phones, rng):
        formants, widths, voiced, _ = language
        pitch, tract, gain = voice
        n = len(phones)
        drift = 1 + 0.03 * np.sin(2 * np.pi * (3 * np.arange(n) / self.rate + rng.random()))
        phase = np.cumsum(pitch * drift / self.rate) + rng.random()
        pulses = np.diff(np.floor(phase), prepend=np.floor(phase[0])) * (self.rate / pitch) ** 0.5
        hiss = rng.standard_normal(n)
        size = 1 << (n + 256).bit_length()
        turn = np.exp(-2j * np.pi * np.fft.rfftfreq(size))
        wave = np.zeros(n)
        for phone in np.unique(phones):
            source = np.where(phones == phone, pulses if voiced[phone] else hiss, 0)
            answer = np.ones(len(turn), complex)
            for f, width in zip(formants[phone] / tract, widths):
                pole = np.exp(-np.pi * width / self.rate) * np.exp(2j * np.pi * f / self.rate)
                answer /= (1 - pole * turn) * (1 - pole.conjugate() * turn)
            answer /= np.sqrt(np.mean(np.abs(answer) ** 2))  # every phone as loud
            wave += np.fft.irfft(np.fft.rfft(source, size) * answer, size)[:n]
        return gain * (wave + self.noise * rng.standard_normal(n))


def spectrum(waves, size: int, step: int, frames: int) -> np.ndarray:
    """Log power in windows of ``size`` samples, ``step`` apart: (n, frames, size // 2 + 1).

    Examples
    --------
    >>> spectrum(np.zeros((1, 100)), 20, 10, 9).shape
    (1, 9, 11)
    """
    cut = np.lib.stride_tricks.sliding_window_view(waves, size, axis=1)[:, ::step][:, :frames]
    power = np.abs(np.fft.rfft(cut * np.hanning(size), axis=-1)) ** 2
    return np.log(power + 1e-3).astype(np.float32)
