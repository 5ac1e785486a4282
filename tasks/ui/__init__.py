"""What Airflow's own UI shows of Nightloom, to whoever may read the DAG: pages that change nothing.

    plugins/    the only file that Airflow loads (AIRFLOW__CORE__PLUGINS_FOLDER): a tab of every run, an entry of the menu, a
                link of every task to its run in MLflow
    app         the addresses below /nightloom, behind Airflow's login and rights
    runs        a run's page, and what Airflow knows of the run
    history     the registry's history: champions, versions, why, who approved
    told.html, history.html, link.js    how they look; the style is that of the report

The API server imports these once: of a commit that is deployed while it runs, pages are those of before until its next start.

Texts that people landed stand in these pages. So each is served with a policy by which a browser runs no script but the one
that is named by its hash, and loads nothing.
"""
