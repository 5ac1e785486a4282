"""The classic network of several branches: encoders and fused head fitted together, end to end, from raw samples.

Beside the heads on frozen features, where `train.finetune` names fusions: a label that lies in how modalities go together is
seen by no encoder that was fitted to it alone.
"""
