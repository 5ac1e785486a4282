"""What people are told when nobody looks: a run failed, promoted, was rejected, waits for a person, or its data drifted.

notice      what is told: what happened and why, where to look, and the link
channels    how: Slack, any webhook, mail; whatever the environment names
tell        when: Airflow's callbacks of the tasks from `close` on, and the task `notify` of a run that fails
"""
