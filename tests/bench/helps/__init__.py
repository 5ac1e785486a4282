"""What methods that are off by default are worth: a file per method, with cases where it must help and where it must not hurt.

`python -m tests.bench.helps.<method>` prints a line of JSON with intervals over seeds, and exits 1 below the bar.
"""
