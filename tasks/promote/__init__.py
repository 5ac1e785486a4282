"""Promotion: a verdict becomes two tags in one push, and MLflow shows them.

    registry    the record: tags in GTO's grammar, folded by number
    bump        how much changed since the champion: major, minor or patch
    announce    the tag objects, and their one atomic, create-only push
    promote     the task: a closed run's verdict in, a version out
    rollback    an older version reigns again, because a person says so
    mirror      versions and the champion alias in MLflow, as the tags say
    runs        a Nightloom run as an MLflow run: params, metrics, curves, the report
    served      what MLflow runs to predict from raw inputs

The tags are the record; whatever MLflow shows can be made from them again.
"""
