"""Classes: the numbers that stand for them, and how strongly they are followed.

A network of K classes takes a number below K, or K itself for `any of them`. If its training
pictures were mirrored at random, another K + 1 numbers stand for the mirrored ones, so that what
it draws is not mirrored: augmentation that does not leak, as Karras et al. (2022), section 5.

    (1)  E[x_0 | x_t, c] is led away from E[x_0 | x_t]:
             x_0 = E[x_0 | x_t] + scale (E[x_0 | x_t, c] - E[x_0 | x_t])

Ho & Salimans (2022), classifier-free guidance, in the notation where a scale of 1 is plain
conditioning. It may be limited to levels between two log-SNRs: Kynkaanniemi et al. (2024).
"""

from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor

from sfumato.denoisers.denoiser import Denoiser, Prediction
from sfumato.errors import ArgumentError
from sfumato.process.noise import NoiseLevel


@dataclass(frozen=True, slots=True)
class ClassLabels:
    """The class numbers that a network takes as its condition.

    Args:
        classes: K, 0 where there are none.
        mirrored: whether mirrored pictures have numbers of their own.
        knows_any: whether a number stands for any of the classes; where none does, none is for
            mirrored pictures either.
    """

    classes: int
    mirrored: bool = False
    knows_any: bool = True

    @property
    def count(self) -> int:
        """How many numbers there are; 0 for a network that takes none."""
        if not self.knows_any:
            return self.classes
        if not self.classes and not self.mirrored:
            return 0
        return (self.classes + 1) * (1 + self.mirrored)

    @property
    def any(self) -> int:
        """The number for `any of the classes`."""
        return self.classes

    def of(self, label: Tensor, mirrored: Tensor) -> Tensor:
        """The numbers of labels (or `any`) of pictures that are mirrored or not, `(batch,)`."""
        return label + (self.classes + 1) * mirrored.long()


@dataclass(frozen=True, slots=True, eq=False)
class Guided:
    """Classifier-free guidance of a conditional denoiser.

    (G-2), Ho & Salimans (2022); a second call of the network wherever it changes anything.

    Args:
        conditional: E[x_0 | x_t, c].
        unconditional: E[x_0 | x_t].
        scale: 1 is plain conditioning, 0 none; above 1 the class is followed more strongly.
        interval: lowest and highest log-SNR between which there is guidance; None: everywhere.

    Raises:
        ArgumentError: if the scale is negative, or the interval's ends are not in order.
    """

    conditional: Denoiser
    unconditional: Denoiser
    scale: float
    interval: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if not self.scale >= 0:
            raise ArgumentError(f"`guidance` must not be negative; got {self.scale}.")
        if self.interval is not None and not self.interval[0] < self.interval[1]:
            raise ArgumentError(
                "`guidance_interval` goes from a lower to a higher log-SNR; got "
                f"{list(self.interval)}."
            )

    def __call__(self, x_t: Float[Tensor, "batch *event"], level: NoiseLevel) -> Prediction:
        """The prediction, led; its variance, if one is learned, is the conditional's."""
        conditional = self.conditional(x_t, level)
        if self.scale == 1 or not self._reaches(level):
            return conditional
        unconditional = self.unconditional(x_t, level)
        return replace(conditional, x_0=unconditional.x_0.lerp(conditional.x_0, self.scale))

    def _reaches(self, level: NoiseLevel) -> bool:
        if self.interval is None:
            return True
        low, high = self.interval
        return bool(((level.log_snr >= low) & (level.log_snr <= high)).all())
