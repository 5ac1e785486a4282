"""Ingest what has landed, without Airflow: `python -m tasks.ingest`, then `dvc add data/1_raw` and `dvc repro`.

New batches of `ingest.landing` (params.yaml) are cut into data/1_raw and added to data/1_raw.json; the first batch
of samples becomes the reference. Batches that are known by content are passed over.
"""

import sys

from tasks.errors import ContractBroken, NoData, TasksError
from tasks.index import Batch, read_index, write_index
from tasks.ingest import changed, digest, ingest
from tasks.ingest.erased import ERASED, read_erased
from tasks.ingest.landing import look
from tasks.params import load
from tasks.paths import RAW, REFERENCE
from tasks.stage import MISTAKE, leave


def main() -> None:
    """Ingest every batch that is new; a batch that cannot be taken is named and the others go on.

    Raises:
        ContractBroken: some batch was refused.
    """
    params = load()
    landing = look(params.ingest.landing)
    for text in landing.waiting:
        print(f"waiting: {text}")
    batches, refused = _known(), 0
    for landed in landing.batches:
        try:
            if _is_known(landed.name, digest(landed, params), batches):
                print(f"{landed.name}: known")
                continue
            done = ingest(landed, params, RAW, read_erased(ERASED))
        except ContractBroken as mistake:
            refused += 1
            print(f"{landed.name}: refused: {mistake}", file=sys.stderr)
            continue
        batches.append(done.batch)
        _record(batches)
        print(f"{landed.name}: {done.rows} rows, {done.refused} refused" + "".join(f"\n  {text}" for text in done.examples))
    if refused:
        raise ContractBroken(f"{refused} of {len(landing.batches)} batches in {params.ingest.landing} refused; see above")


def _known() -> list[Batch]:
    try:
        return read_index()
    except NoData:
        return []


def _is_known(name: str, digest: str, batches: list[Batch]) -> bool:
    if digest in {batch.digest for batch in batches}:
        return True
    before = [batch.digest for batch in batches if batch.name == name]
    if before:
        raise changed(before[0], digest)
    return False


def _record(batches: list[Batch]) -> None:
    write_index(batches)
    try:
        read_index(REFERENCE)
    except NoData:
        first = [batch for batch in batches if batch.of_samples][:1]
        write_index(first, REFERENCE)


if __name__ == "__main__":
    code = 0
    try:
        main()
    except TasksError as told:
        print(f"nightloom: {told}", file=sys.stderr)
        code = MISTAKE
    leave(code)
