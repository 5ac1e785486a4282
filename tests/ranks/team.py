"""Several ranks in children of a test: `team(2, do)` is what `do(ranks)` answers in each."""

import os
import socket
from collections.abc import Callable
from typing import Any

import torch

from tasks.ranks import Ranks
from tasks.ranks.start import joined
from tasks.steady import steady
from tests.deaths import at_once


def team(count: int, do: Callable[[Ranks], Any]) -> list[Any]:
    """Start them as torchrun does, by their environment; an answer must hold arrays, no tensors, or is an exit code."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]

    def member(number: int) -> Callable[[], Any]:
        def act() -> Any:
            torch.set_num_threads(1)  # threads do not survive a fork
            os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "LOCAL_WORLD_SIZE": str(count)}
            os.environ |= {"RANK": str(number), "LOCAL_RANK": str(number), "WORLD_SIZE": str(count)}
            try:
                with steady(1), joined("tasks.train", "-", count, "cpu") as ranks:
                    return do(ranks)
            except SystemExit as told:
                return told.code

        return act

    return at_once(*map(member, range(count)))
