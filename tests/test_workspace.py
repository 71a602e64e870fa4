"""Borrowed arrays: never two owners of one, never many more than were lent at once."""

import threading

import numpy as np
import pytest

from npssl.kernels import workspace


class Owner:
    """What a borrowed array returns with."""


@pytest.fixture
def empty(monkeypatch):
    monkeypatch.setattr(workspace, "_SHELF", {})
    monkeypatch.setattr(workspace, "_ALL", type(workspace._ALL)())
    monkeypatch.setattr(workspace, "_most", 0)


def test_batches_of_all_lengths_take_no_more_than_the_longest(empty):
    rng, most, highest = np.random.default_rng(0), 0, 0
    for length in rng.integers(5, 128, 300):
        owners = [Owner() for _ in range(6)]
        for owner in owners:
            workspace.borrow(10_000 * length, owner)
            workspace.give_back(workspace.borrow(2_000 * length))
        shelf, lent = workspace.held()
        most, highest = max(most, lent), max(highest, shelf + lent)
    assert most > 6 * 10_000 * 120
    assert highest <= 1.3 * most  # a quarter, and what sizes are rounded up


def test_the_same_batches_borrow_the_same_arrays(empty):
    def step():
        owners = [Owner() for _ in range(3)]
        return {workspace.borrow(5000, owner).ctypes.data for owner in owners}

    first = step()
    assert len(first) == 3
    assert step() == first and workspace.held() == (3 * workspace._whole(5000), 0)


def test_nobody_shares(empty):
    """Threads that borrow, write, and find what they wrote."""
    wrong = []

    def work(number):
        rng = np.random.default_rng(number)
        for _ in range(300):
            owner = Owner()
            mine = [workspace.borrow(int(n), owner) for n in rng.integers(1, 5000, 4)]
            for k, array in enumerate(mine):
                array[:] = 10 * number + k
            wrong.extend(k for k, array in enumerate(mine) if (array != 10 * number + k).any())
            del owner

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and workspace.held()[1] == 0


def test_an_array_of_which_a_part_was_lent_returns_whole(empty):
    lent = workspace.borrow(3 * 1000 + 1)
    workspace.give_back(lent[:3000].reshape(3, 1000))
    assert workspace.held() == (workspace._whole(3001), 0)
    workspace.clear()
    assert workspace.held()[0] == 0
