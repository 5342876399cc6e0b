import pytest

from optnas.storage import guard


@pytest.fixture(autouse=True)
def way(request, monkeypatch):
    """`rows`, or `public`: then no private function of Optuna is one that optnas knows."""
    chosen = getattr(request, "param", "rows")
    if chosen == "public":
        monkeypatch.setattr(guard, "_is_known", lambda private: False)
    return chosen
