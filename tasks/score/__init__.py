"""What the champion says of samples that nobody has labelled: batches by the DAG `score`, files by `python -m tasks.score`.

A batch lands in a zone of its own (`score.landing` in params.yaml), as one to train on does; cells of targets may be empty, or
the columns absent. What comes of it lies beside DVC's objects, on the remote that every machine shares:

    <remote>/predictions/<version>/<batch>.parquet              a row per sample; `pandas.read_parquet` takes the folder
    <remote>/predictions/quarantine/<version>/<batch>.parquet   rows that are left out, each with its reason
    <remote>/predictions/facts/<version>/<batch>.json           counts and drift; written last: without it nothing is done
    <remote>/predictions/live/<version>.json, .png              the score on those whose labels came late

<batch> is its name and the digest of its content. So the same batch and version are predicted once, whoever asks.

    batch       one landed batch: validated as ingest and profile do, predicted stretch by stretch
    answers     what a bundle says, as columns; what each modality carries
    reference   what the version was trained on, as far as batches are compared with it
    drift       how far a batch lies from that, and what chance alone would come to
    live        late labels: the score of a version on what it met
    shelf       the files above
    files       files and texts of a command line as a sample
    export      the fused head as ONNX
"""
