"""scikit-learn's face: a density estimator, an imputer, a regressor, a classifier for tables.

    from sfumato import DiffusionModel
    model = DiffusionModel().fit(frame)
    model.sample(1000, given={"sex": "F"})

Arrays of numbers with NaN for missing values go in and out as arrays, data frames of pandas, polars
and pyarrow as frames of the same kind. Nothing is written but by `save`, and that is safetensors.
"""

from sfumato.estimator.imputer import DiffusionImputer
from sfumato.estimator.model import DiffusionModel
from sfumato.estimator.predictors import DiffusionClassifier, DiffusionRegressor

__all__ = ["DiffusionClassifier", "DiffusionImputer", "DiffusionModel", "DiffusionRegressor"]
