"""What a cluster needs beside Airflow's own commands; docker/compose.yaml starts it all.

start     once, before anything else: databases, bucket, login, pool, and the code in central
worker    a Celery worker whose secrets the stages it runs cannot read

What there is to set is in tasks/run/settings.py, as on one machine; which machine gets what, in docker/compose.yaml.
"""
