"""A child that starts two more and waits for ever; their ids go to the file that the request names."""

import os
import subprocess
import time
from pathlib import Path

from tasks.run.child import request

if __name__ == "__main__":
    pids = Path(request()["pids"])
    started = [subprocess.Popen(["sleep", "600"]) for _ in range(2)]
    pids.write_text(" ".join(str(pid) for pid in [os.getpid(), *(p.pid for p in started)]))
    time.sleep(600)
