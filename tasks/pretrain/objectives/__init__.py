"""What an encoder is fitted to, a file each: `pretrain.objective`.

An objective is a module that is thrown away when the encoder is fitted:

    Objective(module, inputs, heads, knobs)      `module` is tasks/extract/<kind>.py, `inputs` all prepared samples
    draw(inputs, targets, generator)             some samples, on the CPU: what the network sees of them, and what is the truth
    forward(network, seen, truth, part)          the mean loss of a batch, on the device; given a part of it (tasks/ranks), so
                                                 much of the mean that the parts' sum is the batch's
"""

from tasks.pretrain.objectives.contrastive import Contrastive
from tasks.pretrain.objectives.masked import Masked
from tasks.pretrain.objectives.supervised import Supervised

OBJECTIVES = {"contrastive": Contrastive, "masked": Masked, "supervised": Supervised}
