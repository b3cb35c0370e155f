"""Distances between sets of features against closed forms, and what they say of pictures."""

import numpy as np
import pytest

from sfumato.data.images import digits
from sfumato.errors import DataError
from sfumato.metrics import features
from sfumato.metrics.features import Classifier, train_classifier, trained_once
from sfumato.metrics.images import (
    evaluate_images,
    frechet_distance,
    kernel_distance,
    manifold,
)
from sfumato.metrics.memorisation import nearest_images


def _with_moments(mean: np.ndarray, covariance: np.ndarray, n: int = 50) -> np.ndarray:
    """Rows whose sample mean and covariance are exactly these."""
    rows = np.random.default_rng(0).normal(size=(n, len(mean)))
    rows -= rows.mean(0)
    white = rows @ np.linalg.inv(np.linalg.cholesky(np.cov(rows.T))).T
    return np.asarray(mean + white @ np.linalg.cholesky(covariance).T)


def test_the_frechet_distance_of_gaussians() -> None:
    first = _with_moments(np.array([0.0, 1.0]), np.diag([4.0, 9.0]))
    second = _with_moments(np.array([3.0, -3.0]), np.diag([1.0, 16.0]))
    # |(3, -4)|² + (2 - 1)² + (3 - 4)²
    assert frechet_distance(first, second) == pytest.approx(27)
    # In general the trace is of the root of the product, whatever the order.
    a, b = np.array([[2.0, 0.9], [0.9, 1.0]]), np.array([[1.0, -0.5], [-0.5, 3.0]])
    root = np.sqrt(np.linalg.eigvals(a @ b).real).sum()
    found = frechet_distance(_with_moments(np.zeros(2), a), _with_moments(np.zeros(2), b))
    assert found == pytest.approx(np.trace(a) + np.trace(b) - 2 * root)


def test_the_kernel_distance_is_unbiased_and_is_its_sum() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(4, 3)), rng.normal(size=(5, 3))

    def k(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / 3 + 1) ** 3)

    own = np.mean([k(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j])
    other = np.mean([k(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j])
    between = np.mean([k(a, b) for a in x for b in y])
    assert kernel_distance(x, y) == pytest.approx(own + other - 2 * between)
    repeats = [kernel_distance(*rng.normal(size=(2, 40, 3))) for _ in range(200)]
    assert abs(np.mean(repeats)) < 4 * np.std(repeats) / np.sqrt(200)


def test_of_one_distribution_density_and_coverage_are_what_theory_says() -> None:
    # Naeem et al. (2020), lemma 1 and 2: 1, and nearly 1 - 2^-k.
    rng = np.random.default_rng(2)
    found = [manifold(*rng.normal(size=(2, 500, 2))) for _ in range(5)]
    assert np.mean([each["density"] for each in found]) == pytest.approx(1, abs=0.03)
    assert np.mean([each["coverage"] for each in found]) == pytest.approx(1 - 2**-5, abs=0.02)


def test_a_missing_mode_costs_recall_and_a_false_one_precision() -> None:
    rng = np.random.default_rng(3)
    near, far = rng.normal(size=(200, 2)), rng.normal(size=(200, 2)) + 50
    both = np.concatenate([near[:100], far[:100]])
    missing = manifold(near[100:], both)
    assert missing["recall"] < 0.55
    assert missing["precision"] > 0.85
    false = manifold(both, near[100:])
    assert false["precision"] < 0.55
    assert false["recall"] > 0.85


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    found = digits()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(features, "_STEPS", 300)
        return train_classifier(found.pixels, found.labels, 10)


def test_the_classifier_knows_digits_and_says_so(classifier: Classifier) -> None:
    assert classifier.accuracy > 0.97
    assert "10 classes" in classifier.name


def test_the_same_pictures_make_the_same_classifier(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "_STEPS", 5)
    pixels, labels = digits().pixels, digits().labels
    first, again = (train_classifier(pixels, labels, 10)(pixels[:9]) for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_it_is_trained_anew_for_other_pictures_labels_and_seeds_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(features, "_STEPS", 5)
    pixels, labels = digits().pixels, digits().labels
    assert labels is not None
    first = trained_once(pixels, labels, 10)
    assert trained_once(pixels.copy(), labels.copy(), 10) is first
    np.testing.assert_array_equal(
        first(pixels[:9]), train_classifier(pixels, labels, 10)(pixels[:9])
    )
    others = [
        trained_once(pixels[::-1], labels, 10),
        trained_once(pixels, labels[::-1], 10),
        trained_once(pixels, None),
        trained_once(pixels, labels, 10, seed=1),
        trained_once(pixels, labels, 10),  # only the last one is kept
    ]
    assert len({id(each) for each in (first, *others)}) == 6


def test_without_labels_it_learns_which_way_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "_STEPS", 300)
    found = train_classifier(digits().pixels, None)
    assert "way up" in found.name
    assert found.accuracy > 0.9


def test_real_digits_pass_and_altered_ones_do_not(classifier: Classifier) -> None:
    found = digits()
    order = np.random.default_rng(0).permutation(len(found.pixels))
    parts = [found.pixels[order[k * 200 : (k + 1) * 200]] for k in range(8)]
    reference, sample, real = parts[0], parts[1], parts[2:]

    def verdicts(pixels: np.ndarray, asked: np.ndarray | None = None) -> dict[str, str]:
        measured = evaluate_images(
            pixels, reference, real, found.pixels[order[400:]], classifier=classifier, asked=asked
        )
        return {each.name: each.verdict for each in measured}

    assert "apart" not in verdicts(sample).values()
    noisy = np.random.default_rng(1).integers(0, 256, sample.shape, dtype=np.uint8)
    assert verdicts(noisy)["frechet"] == verdicts(noisy)["precision"] == "apart"
    assert found.labels is not None
    few = found.pixels[found.labels < 3][:200]
    assert verdicts(few)["frechet"] == verdicts(few)["recall"] == "apart"
    copies = found.pixels[order[400:600]]
    assert verdicts(copies)["memorisation"] == "apart"
    right = found.labels[order[200:400]]
    assert verdicts(sample, right)["label_errors"] == "cannot be told apart"
    assert verdicts(sample, (right + 1) % 10)["label_errors"] == "apart"


def test_too_few_pictures_are_refused(classifier: Classifier) -> None:
    few = digits().pixels[:10]
    with pytest.raises(DataError, match="at least 20"):
        list(evaluate_images(few, few, [few, few], few, classifier=classifier))


def test_the_nearest_pictures_are_found_beyond_a_thousand() -> None:
    pixels = digits().pixels
    found = nearest_images(pixels[1500:1510], pixels, 3)
    apart = pixels[1500:1510, None].astype(float) - pixels[None].astype(float)
    expected = np.argsort((apart**2).sum((2, 3, 4)), axis=1, kind="stable")[:, :3]
    np.testing.assert_array_equal(found, expected)
