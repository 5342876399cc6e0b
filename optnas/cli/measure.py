"""`optnas measure`: a trial's network, measured again."""

from __future__ import annotations

from optnas.cli.console import echo, show
from optnas.cli.options import AnyStudy, File, Name, Storage, Trial, Trust


def measure(
    study: AnyStudy,
    trial: Trial = None,
    storage: Storage = None,
    name: Name = None,
    file: File = None,
    trust: Trust = False,
) -> None:
    """Measure a trial's network again, and show it layer by layer."""
    from optnas.cli.chosen_trial import chosen_trial
    from optnas.cli.network_tables import metrics_table
    from optnas.cli.study_argument import open_study_argument, show_header
    from optnas.finished.measure import measure_again
    from optnas.pareto.find_trial import choose_trial
    from optnas.study.fingerprint import differences, listing
    from optnas.study.record import record_of

    opened = open_study_argument(study, storage, name, file=file)
    search, found = opened.needed_search(trust=trust), opened.study
    show_header(search)
    objective = search.objective()
    changes = differences(record_of(found).fingerprint, search.fingerprint(objective))
    number = chosen_trial(found, trial)
    measured = measure_again(objective, choose_trial(found, number))
    echo(f"trial {measured.trial}: {measured.architecture}\n\n{measured.profile}\n")
    show(metrics_table(measured.metrics))
    if changes:
        echo(f"these are not the study's settings any more ({listing(changes)})", err=True)
