"""What a method is worth: a file per method, each with a case where it must help and one where it must not hurt.

`python -m tests.bench.helps.<name>` prints a line of JSON with intervals over seeds, and exits 1 below the bar.
"""
