"""How modalities become one vector: a file per fusion, one signature `(tokens, mask, time) -> [batch, width]`.

`tokens[m]` float [b, t, width] already projected and 0 where `mask[m]` bool [b, t] is off; `time[m]` float [b, t], s. A
sample without any modality still gets finite numbers. Modalities are mapping keys, visited in the order of their names.

A fusion that mixes by weights also has `weights(tokens, mask, time) -> [batch, modalities]`, how much of the mixture is each
modality's, in the order of their names; an absent one has 0.
"""

from torch import nn

from tasks.train.fusions.attention import Attention
from tasks.train.fusions.concat import Concat
from tasks.train.fusions.convolutional import Convolutional
from tasks.train.fusions.gated import Gated
from tasks.train.fusions.lowrank import LowRank
from tasks.train.fusions.mean import Mean
from tasks.train.fusions.product import Product
from tasks.train.fusions.recurrent import Recurrent

FUSIONS: dict[str, type[nn.Module]] = {
    "attention": Attention,
    "concat": Concat,
    "convolutional": Convolutional,
    "gated": Gated,
    "lowrank": LowRank,
    "mean": Mean,
    "product": Product,
    "recurrent": Recurrent,
}
