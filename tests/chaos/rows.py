"""One function per row of the table: what is done to its nights, and what counts as passing."""

import random
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import psutil

from tests.chaos.house import HURRY, House
from tests.chaos.night import Night, Scene, night
from tests.chaos.victims import KINDS, LEAST_S, Kill, Killer, below

AWAY_S = 60
SLOWER = 2.3
APART_S = 8.0  # at most, on average and on top of the least, between two kills: a slow undisturbed night must not thin them out


@dataclass(frozen=True)
class Result:
    """One night under a fault."""

    survived: bool
    why: str
    seconds: float
    recovery_s: list[float]
    redone: float  # work of all tries, as a multiple of the undisturbed night's, less 1
    tries: int  # faults that were injected
    kills: list[str]


def undisturbed(house: House) -> Night:
    """The night that all others are held against."""
    return night(house, lambda scene: None, changed=HURRY)


def judged(found: Night, calm: Night, tries: int, *more: str) -> Result:
    """Hold a night against the undisturbed one."""
    wrong = [text for text in more if text]
    if found.state != "success":
        wrong.append(f"the run ended as {found.state}")
    if found.lock != calm.lock:
        wrong.append("another dvc.lock" if found.lock else "no closed run")
    if found.versions != calm.versions:
        wrong.append(f"{found.versions} versions, not {calm.versions}")
    if found.left:
        wrong.append(f"left running: {found.left[0]}")
    redone = sum(found.work.values()) / max(sum(calm.work.values()), 1) - 1
    kills = [f"{kill.kind}: {kill.line[:80]}" for kill in found.kills]
    return Result(not wrong, "; ".join(wrong), found.seconds, list(found.recovery_s), round(redone, 3), tries, kills)


def anything(house: House, calm: Night, seed: int) -> Result:
    """Row 24: ten kills of random processes at random moments."""
    return _kills(house, calm, seed, KINDS, 10)


def scheduler(house: House, calm: Night, seed: int) -> Result:
    """Row 4: the scheduler, ten times, with tasks running."""
    return _kills(house, calm, seed, ("scheduler",), 10)


def _kills(house: House, calm: Night, seed: int, kinds: tuple[str, ...], count: int) -> Result:
    rng = random.Random(seed)
    killers: list[Killer] = []
    done: list[Kill] = []
    more_s = min(max(1.0, 0.7 * calm.seconds / count - LEAST_S), APART_S)  # so that they come all over the night

    def disturb(scene: Scene) -> None:
        if not killers:
            killers.append(Killer(scene.guard, kinds, count, more_s, rng, done))
        if scene.running():
            killers[0].tick()

    found = night(house, disturb, done, HURRY)
    return judged(found, calm, len(done), "" if len(done) == count else f"{len(done)} of {count} kills came before its end")


def worker(house: House, calm: Night, seed: int) -> Result:
    """Row 3: the worker of a training; its task must leave `running` within three heartbeat time-outs."""
    done: list[Kill] = []
    left: list[float] = []
    victim = {"task": "", "try": 0}

    def disturb(scene: Scene) -> None:
        if not done:
            busy = scene.running("train")
            workers = [p for kind, p in below(scene.guard) if kind == "worker" and busy and _holds(p, busy[0]["id"])]
            if workers:
                victim.update({"task": busy[0]["task_id"], "try": busy[0]["try_number"]})
                workers[0].kill()
                done.append(Kill(time.time(), "worker", str(victim["task"])))
        elif not left:
            now = {task["task_id"]: task for task in scene.found}[str(victim["task"])]
            if now["state"] != "running" or now["try_number"] > int(victim["try"]):
                left.append(time.time() - done[0].at_s)

    found = night(house, disturb, done, HURRY)
    allowed = 3 * int(HURRY["SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT"])
    late = "no worker was killed" if not left else f"left `running` after {left[0]:.0f} s" if left[0] > allowed else ""
    return judged(found, calm, len(done), late)


def _holds(worker: psutil.Process, instance: str) -> bool:
    """Whether a worker is at this task instance: its title says so."""
    with suppress(psutil.NoSuchProcess):
        return instance in " ".join(worker.cmdline())
    return False


def api_server(house: House, calm: Night, seed: int) -> Result:
    """Row 5: the API server stands still for a minute while tasks run; none of them may be tried again."""
    rng = random.Random(seed)
    stopped: dict[int, float] = {}
    over: list[float] = []
    wait_s = rng.uniform(0, 20)
    began = time.monotonic()

    def disturb(scene: Scene) -> None:
        if not stopped and scene.running() and time.monotonic() > began + wait_s:
            for kind, process in below(scene.guard):
                if kind == "api-server":
                    process.send_signal(signal.SIGSTOP)
                    stopped[process.pid] = time.monotonic()
        elif stopped and not over and time.monotonic() > min(stopped.values()) + AWAY_S:
            over.append(time.time())
            for pid in stopped:
                psutil.Process(pid).send_signal(signal.SIGCONT)

    kills: list[Kill] = []
    found = night(house, disturb, kills)
    again = [task for task, tries in found.tries.items() if tries > 1]
    return judged(found, calm, len(over), "" if over else "nothing was stopped", f"tried again: {again}" if again else "")


def two_trainings(house: House, calm: Night, seed: int) -> Result:
    """Row 20: two trainings at once against one after the other."""
    longer = ("train.epochs=60",)
    alone = night(house, lambda scene: None, overrides=longer, slots=1)
    both = night(house, lambda scene: None, overrides=longer, slots=2)
    slower = {task: both.took[task] / alone.took[task] for task in alone.took if task.startswith(("train", "plain"))}
    worst = max(slower, key=lambda task: slower[task])
    slow = f"{worst} took {slower[worst]:.2f} times as long" if slower[worst] > SLOWER else ""
    found = judged(both, alone, 1, slow)
    return Result(found.survived, found.why, found.seconds, [round(slower[worst], 2)], found.redone, 1, [])


ROWS: Mapping[int, Callable[[House, Night, int], Result]] = {
    3: worker,
    4: scheduler,
    5: api_server,
    20: two_trainings,
    24: anything,
}
