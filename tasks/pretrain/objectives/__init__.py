"""What an encoder is fitted to, a file each: `pretrain.objective`.

An objective is a module that is thrown away when the encoder is fitted:

    Objective(module, inputs, heads, knobs)      `module` is tasks/extract/<kind>.py, `inputs` all prepared samples
    draw(inputs, targets, generator)             some samples, on the CPU: what the network sees of them, and what is the truth
    forward(network, seen, truth)                the mean loss of these samples, on the device
"""

from tasks.pretrain.objectives.contrastive import Contrastive
from tasks.pretrain.objectives.masked import Masked
from tasks.pretrain.objectives.supervised import Supervised

OBJECTIVES = {"contrastive": Contrastive, "masked": Masked, "supervised": Supervised}
