"""A child that says which secrets it was told, and then runs the spy as a stage is run."""

import os
import subprocess
import sys
from pathlib import Path

from tasks.run.child import request, scrubbed

if __name__ == "__main__":
    asked = request()
    for name in asked["names"]:
        print(f"TOLD {name} {'canary' in os.environ.get(name, '')}", flush=True)
    with scrubbed(Path(asked["home"])):
        subprocess.run([sys.executable, "-m", "tests.run.spy", *asked["folders"]], check=True)
