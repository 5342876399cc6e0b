"""Versions of packages, by the name that they are imported under."""

from importlib.metadata import PackageNotFoundError, version

import pytest

from optnas.utils.versions import version_of, versions


def test_a_package_is_found_by_the_name_of_its_distribution_or_of_its_module():
    assert version_of("numpy") == version("numpy")
    assert version_of("sklearn") == version("scikit-learn")
    with pytest.raises(PackageNotFoundError):
        version_of("no_such_package_at_all")


def test_versions_always_include_optnas_torch_and_python():
    assert set(versions("optuna")) == {"optnas", "torch", "optuna", "python"}
