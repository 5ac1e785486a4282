"""Nightloom's work, in the order of the flow.

    ingest     data/0_landing -> data/1_raw                 cut what landed into immutable partitions           (task)
    open       a commit that holds the night's data, code and parameters                                        (task)
    profile    data/1_raw -> data/2_profiles                decode and measure each modality                    (stage)
    validate   data/2_profiles -> data/3_manifest           expectations, quarantine, splits                    (stage)
    probe      data/3_manifest -> data/3_probe.json         few test samples, the same every night              (stage)
    admit      stop a night whose critical expectations fail, before any GPU is used                            (task)
    docs       what validate found, as Great Expectations' pages                                                (task)
    pretrain   reference -> data/5_models/encoders          fit one encoder per modality                        (stage)
    extract    data/1_raw -> data/4_features                token features from the frozen encoders             (stage)
    damage     data/1_raw -> data/4_damaged                 the same of the probe, damaged by degrees           (stage)
    train      data/4_features -> data/5_models/candidates  fit every fusion and the plain candidates           (stage)
    finetune   data/1_raw -> data/5_models/candidates       fit fusions end to end, encoders too, if asked for  (stage)
    select     the simplest candidate that is as good as the best -> data/5_models/bundle                       (stage)
    evaluate   scores with intervals on the test set -> data/6_reports                                          (stage)
    robustness data/4_damaged -> data/6_reports             what is left of the score under damage              (stage)
    explain    where in the input some answers come from, right and wrong ones                                  (stage)
    champion   the reigning model on the same samples                                                           (stage)
    gate       the verdict, row by row                                                                          (stage)
    close      merge what the stages locked, move `nightly`                                                     (task)
    measure    latency and size                                                                                 (task)
    approve    a person's word, when params.yaml or the verdict wants one                                       (task)
    promote    two tags, one push; mirror in MLflow                                                             (task)
    score      what the champion says of what nobody has labelled -> predictions                                (task)

What several of them use lies beside the folders:

    paths, files, tables     where files lie; whole or not there, JSON, digests; Parquet
    index, raw, events       what has landed; what lies in its partitions; what became known afterwards
    features, memo           token features; results that a runner brought
    checkpoint, steady       training that goes on where it was cut off; the same bits every time
    parallel, stretches      the same work on many rows, by several processes; the rows of raw partitions that each reads
    ranks                    one model, fitted by several processes
    splits                   train, validation, test, of which only train may be fitted to
    bundle                   a model, whole
    measures, tally, curves  what scores are made of, by group; areas under curves
    intervals                how sure they are
    zero_shot                classes that are only described, by a bundle
    params, targets, schema  params.yaml, checked; what a target asks for
    notices                  who is told what happened, and how
    standard, losses         a target measured on the train split; what a network is fitted to
    stage, errors            the door of every stage; every known mistake

A stage is `python -m tasks.<stage> [modality]`: its outs depend on its declared deps and params alone. A task touches the
world and is keyed by run or content, so that twice is once.
"""

import sys
from importlib.util import find_spec

NEEDED = ("numpy", "packaging", "pyarrow", "torch", "yaml")

# `python -m tasks.…` by another Python than that of .venv: said here, before an import fails. sys.argv[0] is "-m" only while
# Python looks for the module to run.
if sys.argv[:1] == ["-m"] and (absent := [name for name in NEEDED if find_spec(name) is None]):
    print(
        f"nightloom: {sys.executable} has no {', '.join(absent)}: it is not the Python of .venv."
        " Run `make install`, then `. .venv/bin/activate`.",
        file=sys.stderr,
    )
    sys.exit(2)
