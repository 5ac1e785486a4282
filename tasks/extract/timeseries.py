"""Series -> up to 8 tokens over time."""
import numpy as np
import torch
from torch import Tensor, nn
TOKENS = 8
SHORTEST = 16
CLIP = 5.0
V = dict(mode="mlp", noise=0.2, hidden=64, conv=True, raw=False)

def segments(steps):
    count = int(np.clip(2 * steps // SHORTEST - 1, 1, TOKENS))
    length = max(1, 2 * steps // (count + 1))
    return np.linspace(0, steps - length, count).round().astype(int), length

def statistics(array, options):
    starts, length = segments(len(array))
    pieces = np.stack([array[s:s+length] for s in starts]).astype(np.float64)  # [k, L, c]
    mean = pieces.mean(1); moved = pieces - mean[:, None]
    size = max(length, 4 * options.bands)
    power = np.abs(np.fft.rfft(moved * np.hanning(length + 2)[1:-1, None], size, axis=1))[:, 1:] ** 2 / length
    edges = np.linspace(0, power.shape[1], options.bands + 1).astype(int)[:-1]
    widths = np.diff([*edges, power.shape[1]])
    bands = np.log(np.add.reduceat(power, edges, axis=1) / widths[:, None] + 1e-8)
    dev = np.log(moved.std(1) + 1e-6)
    return np.concatenate([mean, dev, bands.reshape(len(starts), -1)], axis=1)

def fit_facts(arrays, options):
    s = np.concatenate([statistics(a, options) for a in arrays])
    m, d = s.mean(0), np.maximum(s.std(0), 1e-6)
    z = np.clip((s - m) / d, -CLIP, CLIP)
    u, e, vt = np.linalg.svd(z, full_matrices=False)
    return {"mean": m.tolist(), "deviation": d.tolist(), "pca": vt[:32].tolist()}

def prepare(array, options, facts):
    s = np.clip((statistics(array, options) - np.array(facts["mean"])) / np.array(facts["deviation"]), -CLIP, CLIP)
    out = np.zeros((TOKENS, s.shape[1]), dtype=np.float32); out[:len(s)] = s
    starts, length = segments(len(array))
    time = np.zeros(TOKENS, np.float32); time[:len(s)] = starts / options.rate_hz
    P = 64
    wave = np.zeros((TOKENS, array.shape[1], P), np.float32)
    at = np.linspace(0, length - 1, P)
    for k, b in enumerate(starts):
        piece = array[b:b+length].astype(np.float64)
        for c in range(piece.shape[1]):
            wave[k, c] = np.interp(at, np.arange(length), piece[:, c])
    n = array.shape[1]
    scale = np.exp(np.array(facts["deviation"][n:2*n]) + np.array(facts["mean"][n:2*n]))
    mid = np.array(facts["mean"][:n])
    sc = np.sqrt(scale**2 + np.array(facts["deviation"][:n])**2)
    wave[:len(s)] = np.clip((wave[:len(s)] - mid[:, None]) / sc[:, None], -CLIP, CLIP)
    return {"wave": wave, "stats": out, "mask": np.arange(TOKENS) < len(s), "time": time}

def augment(inputs, generator):
    s = inputs["stats"]
    b, t, d = s.shape
    return {**inputs, "stats": s + V["noise"] * torch.randn(s.shape, generator=generator) + V.get("off",0) * torch.randn((b,1,d), generator=generator)}

class Encoder(nn.Module):
    def __init__(self, options, facts, width, dropout):
        super().__init__()
        d = len(facts["mean"]); h = V["hidden"]
        self.V = dict(V)
        if V["mode"] == "linear": self.net = nn.Linear(d, width)
        elif V["mode"] == "mlp": self.net = nn.Sequential(nn.Dropout(dropout), nn.Linear(d, h), nn.ReLU(), nn.Dropout(dropout), nn.Linear(h, width))
        elif V["mode"] == "half":
            p = torch.tensor(facts["pca"], dtype=torch.float32)[: width // 2]
            self.register_buffer("pca", p)
            self.net = nn.Sequential(nn.Dropout(dropout), nn.Linear(d, h), nn.ReLU(), nn.Dropout(dropout), nn.Linear(h, width - len(p)))
        elif V["mode"] == "res":
            self.lin = nn.Linear(d, width)
            self.net = nn.Sequential(nn.Dropout(dropout), nn.Linear(d, h), nn.ReLU(), nn.Dropout(dropout), nn.Linear(h, width))
        elif V["mode"] == "conv":
            self.c = nn.Sequential(nn.Dropout(dropout), nn.Conv1d(d, h, 3, padding=1), nn.ReLU(), nn.Dropout(dropout), nn.Conv1d(h, width, 3, padding=1))
        if V.get("wave"):
            w = V["wave"]
            self.w = nn.Sequential(nn.Conv1d(options.channels, w, 5, 2, 2), nn.ReLU(), nn.Conv1d(w, w, 5, 2, 2), nn.ReLU(), nn.Conv1d(w, 32, 5, 2, 2), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(32, width))
        self.drop = nn.Dropout(dropout)
    def forward(self, inputs):
        x = inputs["stats"]
        m = self.V["mode"]
        if m == "conv": out = self.c(x.transpose(1, 2)).transpose(1, 2)
        elif m == "half": out = torch.cat([x @ self.pca.T, self.net(x)], -1)
        elif m == "res": out = self.lin(x) + self.net(x)
        else: out = self.net(x)
        if self.V.get("wave"):
            w = inputs["wave"]; out = out + self.w(w.flatten(0, 1)).view(out.shape)
        return self.drop(out)
