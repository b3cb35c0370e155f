"""Categories of which only some combinations occur: `city, country`.

Where categories are drawn one after another, each given those before, those that no combination
has together with the known ones have the probability 0, and the others' is brought to the sum 1. So
a combination that is not listed is never drawn, nothing is rejected, and the probability of what is
drawn is exact. Rules that share a column are joined into one list, so that each category that may
be drawn can be completed.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from sfumato.errors import DataError

# Rows of joined lists.
_MOST_JOINED = 200_000


class Combinations:
    """What may stand together: `lists` of places and codes, no two of which share a place.

    Args:
        rules: of each the places of its columns among those with categories, and the codes that
            occur, `(combinations, columns)`.
        sizes: how many categories each column has.

    Raises:
        DataError: if rules that share columns have too many combinations together.
    """

    def __init__(
        self,
        rules: Sequence[tuple[Sequence[int], Sequence[Sequence[int]]]],
        sizes: Sequence[int],
    ) -> None:
        self.sizes = tuple(sizes)
        lists: list[tuple[tuple[int, ...], np.ndarray]] = []
        for places, codes in rules:
            one = tuple(places), np.array(codes, np.int64).reshape(-1, len(places))
            apart = []
            for other in lists:
                if set(other[0]) & set(one[0]):
                    one = _joined(other, one)
                else:
                    apart.append(other)
            lists = [*apart, one]
        self.lists = tuple((places, torch.from_numpy(codes)) for places, codes in lists)
        self._of: Mapping[int, int] = {
            place: k for k, (places, _) in enumerate(self.lists) for place in places
        }

    def __bool__(self) -> bool:
        """Whether there is a rule."""
        return bool(self.lists)

    @property
    def places(self) -> tuple[tuple[int, ...], ...]:
        """The columns of each list, by their places."""
        return tuple(places for places, _ in self.lists)

    def allowed(self, categories: Tensor, column: int, barred: Sequence[int] = ()) -> Tensor | None:
        """Which categories of a column may stand beside the known ones, `(n, categories)`.

        None of a column that no rule binds. Where nothing fits what is known, all may.

        Args:
            categories: `(n, D)`; a column's number of categories where its category is not known.
            column: its place.
            barred: of each column a category that is not drawn; -1 for none.
        """
        if column not in self._of:
            return None
        places, codes = self.lists[self._of[column]]
        fits = self._fit(categories, places, codes, barred)
        of_column = torch.nn.functional.one_hot(codes[:, places.index(column)], self.sizes[column])
        found = fits.float() @ of_column.float() > 0
        return found | ~fits.any(1, keepdim=True)

    def possible(self, categories: Tensor) -> Tensor:
        """Whether each row's known categories can be completed, `(n,)`; arguments as above."""
        found = torch.ones(len(categories), dtype=torch.bool)
        for places, codes in self.lists:
            found &= self._fit(categories, places, codes, ()).any(1)
        return found

    def _fit(
        self,
        categories: Tensor,
        places: tuple[int, ...],
        codes: Tensor,
        barred: Sequence[int],
    ) -> Tensor:
        """Which combinations fit each row, `(n, combinations)`."""
        found = torch.ones(len(categories), len(codes), dtype=torch.bool)
        for k, place in enumerate(places):
            known, code = categories[:, place, None], codes[:, k]
            open_ = (known == self.sizes[place]).expand(-1, len(codes))
            if barred and barred[place] >= 0:
                open_ = open_ & (code != barred[place])
            found &= (known == code) | open_
        return found


def _joined(
    one: tuple[tuple[int, ...], np.ndarray], other: tuple[tuple[int, ...], np.ndarray]
) -> tuple[tuple[int, ...], np.ndarray]:
    """All rows that agree with a row of either list, the columns of both."""
    shared = [place for place in other[0] if place in one[0]]
    new = [k for k, place in enumerate(other[0]) if place not in one[0]]
    by_key: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
    keys = [other[0].index(place) for place in shared]
    for row in other[1].tolist():
        by_key.setdefault(tuple(row[k] for k in keys), []).append(tuple(row[k] for k in new))
    own = [one[0].index(place) for place in shared]
    rows: list[tuple[int, ...]] = []
    for row in one[1].tolist():
        rows += [(*row, *more) for more in by_key.get(tuple(row[k] for k in own), [])]
        if len(rows) > _MOST_JOINED:
            raise DataError(
                f"rules of combinations that share a column have more than {_MOST_JOINED:,} "
                "combinations together; leave one out, or name all of their columns in one rule."
            )
    places = (*one[0], *(other[0][k] for k in new))
    return places, np.array(rows, np.int64).reshape(-1, len(places))
