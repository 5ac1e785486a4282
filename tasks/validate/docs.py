"""Great Expectations' Data Docs, a static site, out of the results that validate stored. Not a stage: it names a moment."""

import warnings
from pathlib import Path

from tasks.errors import NoData
from tasks.files import new_folder, read_json
from tasks.validate.great import gx

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # as in great.py
    from great_expectations.core.expectation_validation_result import ExpectationSuiteValidationResultSchema
    from great_expectations.core.run_identifier import RunIdentifier
    from great_expectations.data_context.types.resource_identifiers import (
        ExpectationSuiteIdentifier,
        ValidationResultIdentifier,
    )

SITE = "night"
EPOCH = "1970-01-01T00:00:00+00:00"


def render(manifest: Path, to: Path, run: str = "night", moment: str = EPOCH) -> Path:
    """Render Data Docs. Needs no network; the pages' style sheets come from GX's own servers when one looks at them.

    Args:
        manifest: data/3_manifest, whose gx/*.json are shown.
        to: folder of the site; replaced.
        run: what the pages call the run.
        moment: the time that the pages show, ISO 8601; results themselves hold none.

    Returns:
        The site's index.html.

    Raises:
        NoData: validate has stored no results there.
    """
    files = sorted((manifest / "gx").glob("*.json"))
    if not files:
        raise NoData(f"{manifest / 'gx'} holds no results: `dvc pull {manifest}`, or `dvc repro validate`")
    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(False)
    with new_folder(to) as folder:
        context.add_data_docs_site(SITE, _site(folder.resolve()))
        for file in files:
            result = ExpectationSuiteValidationResultSchema().load(read_json(file))
            name = RunIdentifier(run_name=run, run_time=moment)
            result.meta["run_id"] = name
            key = ValidationResultIdentifier(ExpectationSuiteIdentifier(file.stem), name, file.stem)
            context.validation_results_store.set(key, result)
        context.build_data_docs(site_names=[SITE])
    return to / "index.html"


def _site(folder: Path) -> dict[str, object]:
    return {
        "class_name": "SiteBuilder",
        "show_how_to_buttons": False,
        "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder)},
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
    }
