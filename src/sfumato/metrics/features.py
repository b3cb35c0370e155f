"""What a set of pictures is judged by: features of a network that knows the data.

The field's habit is a network trained on ImageNet, whose weights must be downloaded and which has
never seen digits or scans. Here a small classifier is trained on the very pictures that the model
learned from: on their classes if they have any, else on which way up they are (Gidaris et al.
2018). Its figures compare samples of one data set, never one paper with another, which is why its
name goes with every figure.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

_FEATURES = 32
_STEPS, _BATCH = 600, 128
_AT_ONCE = 512


@dataclass(frozen=True, slots=True, eq=False)
class Classifier:
    """A small convolutional network; its features are what it decides by.

    Args:
        body: pictures `(n, channels, height, width)` to features `(n, f)`.
        head: features to a score for each class.
        name: what it learned and how often it is right on pictures that it has not seen.
        accuracy: that share.
    """

    body: nn.Module
    head: nn.Module
    name: str
    accuracy: float

    @torch.no_grad()
    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """The features of pictures, `(n, f)` float64."""
        parts = [self.body(part) for part in _prepared(pixels).split(_AT_ONCE)]
        return torch.cat(parts).double().numpy()

    @torch.no_grad()
    def classify(self, pixels: np.ndarray) -> np.ndarray:
        """The likeliest class of each picture, `(n,)`."""
        parts = [self.head(self.body(part)) for part in _prepared(pixels).split(_AT_ONCE)]
        return torch.cat(parts).argmax(1).numpy()


def _prepared(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float() / 127.5 - 1


def train_classifier(
    pixels: np.ndarray, labels: np.ndarray | None, num_classes: int = 0, *, seed: int = 0
) -> Classifier:
    """Train the classifier of these pictures; a tenth of them are kept to see how good it is.

    Args:
        pixels: bytes `(n, height, width, channels)`.
        labels: `(n,)`; None to learn which of four ways up a picture is.
        num_classes: how many labels there are.
        seed: decides everything.
    """
    source = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(pixels), generator=source).numpy()
    kept, used = order[: len(order) // 10], order[len(order) // 10 :]
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        body = nn.Sequential(
            nn.Conv2d(pixels.shape[3], 32, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 64, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(256, _FEATURES),
            nn.Tanh(),  # bounded, so that no single picture makes a mean
        )
        head = nn.Linear(_FEATURES, 4 if labels is None else num_classes)
    weights = [*body.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(weights, 2e-3)

    def drawn(rows: np.ndarray) -> tuple[Tensor, Tensor]:
        x = _prepared(pixels[rows])
        if labels is not None:
            return x, torch.from_numpy(labels[rows])
        side = min(x.shape[2:])
        turns = torch.randint(0, 4, (len(x),), generator=source)
        square = x[:, :, :side, :side]
        turned = [each.rot90(int(k), (1, 2)) for each, k in zip(square, turns, strict=True)]
        return torch.stack(turned), turns

    for step in range(_STEPS):
        rows = used[torch.randint(0, len(used), (_BATCH,), generator=source).numpy()]
        x, target = drawn(rows)
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * (1 - step / _STEPS)
        optimizer.zero_grad()
        cross_entropy(head(body(x)), target).backward()
        optimizer.step()
    body.requires_grad_(False)
    head.requires_grad_(False)
    x, target = drawn(kept[:2000])
    right = float((head(body(x)).argmax(1) == target).double().mean()) if len(kept) else 0.0
    task = "which way up a picture is" if labels is None else f"the {num_classes} classes"
    name = f"a small network trained here on {task} ({right:.1%} right on unseen pictures)"
    return Classifier(body, head, name, right)


# The last one that `trained_once` made, by what decides it.
_last: dict[str, Classifier] = {}


def trained_once(
    pixels: np.ndarray, labels: np.ndarray | None, num_classes: int = 0, *, seed: int = 0
) -> Classifier:
    """As `train_classifier`; the last one is kept and answers whoever asks for the same again."""
    decides = pixels.shape, pixels.dtype.str, labels is None, num_classes, seed, _STEPS
    digest = hashlib.sha256(repr(decides).encode())
    digest.update(np.ascontiguousarray(pixels).data)
    if labels is not None:
        digest.update(np.ascontiguousarray(labels).data)
    key = digest.hexdigest()
    found = _last.get(key)
    if found is None:
        found = train_classifier(pixels, labels, num_classes, seed=seed)
        _last.clear()
        _last[key] = found
    return found
