"""What DAGs tell each other: assets, each an event that something is new."""

from airflow.sdk import Asset, AssetWatcher

from tasks.run.watch import LandingTrigger

CHAMPION = Asset(name="champion", uri="nightloom://champion")  # a version began to reign
NIGHTLY = Asset(name="nightly", uri="nightloom://nightly")  # a night was closed: labels may have come with it


def landing(name: str, root: str) -> Asset:
    """The asset `landing`, or `to_score`: batches are complete that were not there before.

    Args:
        name: one of these.
        root: the deployed checkout, whose params.yaml names the zone.
    """
    watcher = AssetWatcher(name=name, trigger=LandingTrigger(root=root, asset=name))
    return Asset(name=name, uri=f"nightloom://{name}", watchers=[watcher])
