"""A network's weights as the start of another's, whose classes may be others.

A network adds a vector for the class to that for the time. By class name the vectors are kept; a
new class begins as `any of them`, so that at first the network does for it what it did without.
"""

import torch
from torch import Tensor

from sfumato.denoisers.guidance import ClassLabels
from sfumato.errors import ArgumentError
from sfumato.models.model import Model
from sfumato.models.registry import OWN, class_labels_of

_CLASSES, _ALL = "class_emb.weight", "time_emb.2.bias"


def take_weights(model: Model, start: Model) -> None:
    """Give a model the weights of another of the same settings, but for their classes.

    Raises:
        ArgumentError: if the weights are of another shape, or a user's own network has classes and
            they are others.
    """
    weights: dict[str, Tensor] = dict(start.denoiser.network.state_dict())
    new, old = (class_labels_of(each.settings, each.codec) for each in (model, start))
    if (new, model.codec.classes) != (old, start.codec.classes):
        if model.settings.network.name == OWN:
            raise ArgumentError(
                "which part of a network of your own is for which class is not known here; start "
                "from it with the same classes and the same training.flip."
            )
        rows = _rows(weights, old, start.codec.classes, new, model.codec.classes)
        if new.count:
            weights[_CLASSES] = rows
        else:  # what is added for any of the classes is added to all
            weights[_ALL] = weights[_ALL] + rows[0]
    try:
        model.denoiser.network.load_state_dict(weights)
    except RuntimeError as error:
        raise ArgumentError("the start's weights are of another network.") from error


def _rows(
    weights: dict[str, Tensor],
    old: ClassLabels,
    old_classes: tuple[str, ...],
    new: ClassLabels,
    new_classes: tuple[str, ...],
) -> Tensor:
    """The vectors of the new class numbers, of a network without them that of `any`."""
    held = weights.pop(_CLASSES, None)
    if held is None:
        held = torch.zeros_like(weights[_ALL])[None]
    of_any = [held.mean(0)]
    if old.knows_any and old.count:
        of_any = [held[old.any + (old.classes + 1) * k] for k in range(1 + old.mirrored)]
    rows = []
    for mirrored in range(1 + new.mirrored):
        kept = mirrored and old.mirrored  # where the start mirrored nothing, as what is not
        for name in new_classes:
            known = name in old_classes
            row = old_classes.index(name) + (old.classes + 1) * kept if known else -1
            rows.append(held[row] if known else of_any[kept])
        if new.knows_any:
            rows.append(of_any[kept])
    return torch.stack(rows)
