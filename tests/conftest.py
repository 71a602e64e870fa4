"""What every test shares: the folder of real data sets, or a clear reason to skip."""

import os
import pathlib

import pytest

HERE = pathlib.Path(__file__).resolve().parent
DATA = pathlib.Path(os.environ.get("NPSSL_TEST_DATA", HERE.parent.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def shared_data():
    """``shared_data("stsb")``: the path of a real data set, or skip the test."""

    def find(name):
        path = DATA / name
        if not path.exists():
            pytest.skip(f"needs the data set {name!r}; set NPSSL_TEST_DATA to the folder with it")
        return path

    return find
