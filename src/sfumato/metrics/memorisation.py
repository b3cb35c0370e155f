"""Does the model copy its training data? Distances to the nearest training row tell.

If samples are fresh, a sample is as likely to be nearer to the training rows than a held-out
real row is, as the other way round (Meehan, Chaudhuri & Dasgupta 2020).
"""

import numpy as np


def nearest_distances(rows: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Distance of each row to its nearest training row, `(n,)`."""
    from sklearn.neighbors import NearestNeighbors

    return np.asarray(NearestNeighbors(n_neighbors=1).fit(train).kneighbors(rows)[0][:, 0])


def nearer_share(sample_distances: np.ndarray, heldout_distances: np.ndarray) -> float:
    """P(a sample is nearer to the training rows than a held-out row), ties counting half.

    0.5: fresh. Towards 1: copies.
    """
    held = np.sort(heldout_distances)
    farther = len(held) - np.searchsorted(held, sample_distances, side="right")
    level = np.searchsorted(held, sample_distances, side="right") - np.searchsorted(
        held, sample_distances, side="left"
    )
    return float((farther + level / 2).mean() / len(held))


def nearest_images(sample: np.ndarray, train: np.ndarray, k: int) -> np.ndarray:
    """Which k training pictures are nearest to each sample, pixel by pixel, `(n, k)`.

    Args:
        sample: bytes `(n, height, width, channels)`.
        train: bytes `(m, height, width, channels)`; looked at a thousand at a time.
        k: at most m.
    """
    flat = sample.reshape(len(sample), -1).astype(np.float32)
    k = min(k, len(train))
    parts = []
    for first in range(0, len(train), 1000):
        some = train[first : first + 1000].reshape(-1, flat.shape[1]).astype(np.float32)
        parts.append((some**2).sum(1)[None] - 2 * flat @ some.T)  # but for the sample's own square
    return np.argsort(np.concatenate(parts, axis=1), axis=1, kind="stable")[:, :k]
