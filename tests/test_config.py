"""Settings: layers, nearest names, whole round trips, the two presets."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from sfumato import config
from sfumato.config import Settings, recipes
from sfumato.errors import ArgumentError, RenamedWarning
from sfumato.models.registry import build_process, build_stepper
from sfumato.process.process import ContinuousProcess
from sfumato.process.schedules import SCHEDULES, Cosine
from sfumato.samplers import SAMPLERS
from sfumato.samplers.dpm_solver import DPMSolver


def test_defaults_survive_toml_whole(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    for layers in ([], [config.preset("tutorial")], [{"training": {"epochs": 7}, "seed": 3}]):
        settings = config.resolve(*layers)
        path.write_text(settings.to_toml(), encoding="utf-8")
        assert config.resolve(config.load_toml(path)) == settings


def test_later_layers_win_setting_by_setting() -> None:
    settings = config.resolve(
        {"training": {"steps": 5, "clip": 2.0}},
        {"training": {"steps": 6}},
        config.parse_assignments(["training.steps=7", "data.source=moons"]),
    )
    assert (settings.training.steps, settings.training.clip) == (7, 2.0)
    assert settings.data.source == "moons"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("training.steps=500", 500),
        ("training.learning_rate=1e-4", 1e-4),
        ("data.standardise=false", False),
        ("data.source=my points.csv", "my points.csv"),
        ('data.source="quoted"', "quoted"),
        ("process.options.shift=3", 3),
    ],
)
def test_assignments_are_read_as_toml_or_text(text: str, value: object) -> None:
    changes: object = config.parse_assignments([text])
    for key in text.partition("=")[0].split("."):
        assert isinstance(changes, dict)
        changes = changes[key]
    assert changes == value


@pytest.mark.parametrize("text", ["training.steps", "=5", "training..steps=5", ""])
def test_an_assignment_without_its_form_shows_the_form(text: str) -> None:
    with pytest.raises(ArgumentError, match=r"section\.name=value"):
        config.parse_assignments([text])


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("training.epoch", "training.epochs"),
        ("trainig.epochs", "training.epochs"),
        ("sampling.sampelr", "sampling.sampler"),
        ("sed", "seed"),
        ("learning_rate", "training.learning_rate"),
    ],
)
def test_an_unknown_setting_offers_the_nearest(name: str, meant: str) -> None:
    with pytest.raises(ArgumentError) as raised:
        config.resolve(config.parse_assignments([f"{name}=1"]))
    assert f"unknown setting {name!r}; did you mean {meant!r}?" in str(raised.value)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("training.steps", "0", "at least 1"),
        ("training.steps", "many", "integer"),
        ("training.learning_rate", "-1", "above 0"),
        ("training.learning_rate", "nan", "finite"),
        ("training.optimizer", "sgd", "'adam', 'adamw' or 'muon'"),
        ("data.holdout", "0.9", "at most 0.5"),
        ("sampling.threshold", "1.5", "at most 1"),
        ("seed", "9223372036854775808", "at most 9223372036854775807"),
        ("threads", "1000000000000", "at most 1024"),
        ("data.source", "", "not empty"),
        ("data.rows", "100000001", "at most 100000000"),
        ("data.noise", "1e308", "at most 1000000"),
        ("training.batch_size", "1000001", "at most 1000000"),
        ("training.steps", "1" + "0" * 400, "at most 1000000000"),
        ("training.epochs", "10000000000", "at most 1000000000"),
        ("training.snapshots", "10000000000", "at most 1000"),
        ("sampling.steps", "1000000000000", "at most 1000000"),
    ],
)
def test_a_value_out_of_range_says_which_and_why(name: str, value: str, reason: str) -> None:
    with pytest.raises(ArgumentError) as raised:
        config.resolve(config.parse_assignments([f"{name}={value}"]))
    assert name in str(raised.value)
    assert reason in str(raised.value)


RECIPES = {
    "points": (recipes.points(10_000, 2), 3.0, 1.5),
    "many columns": (recipes.points(10_000, 9), 3.0, 1.5),
    "pictures": (recipes.images(8, 8), 1.0, 2),
    "larger pictures": (recipes.images(9, 9), 1.0, 1),
    "table": (recipes.table(1000, 4), 1.0, 2),
    "many rows": (recipes.table(3000, 4), 3.0, 1),
}


def test_where_a_sampler_goes_is_of_its_kind_of_process() -> None:
    points = recipes.points(10_000, 2)

    def visited(*layers: str) -> tuple[str, int | str]:
        changes = [config.parse_assignments(each.split()) for each in layers]
        sampling = config.resolve(points, *changes).sampling
        return sampling.grid, sampling.steps

    usual = Settings().sampling
    assert visited() == ("softplus", 30) != (usual.grid, usual.steps)
    assert visited("sampling.options.eta=1 process.schedule=linear") == ("softplus", 30)
    assert visited("sampling.steps=7", "sampling.sampler=heun") == ("softplus", 7)
    assert visited("process.num_levels=20") == ("trailing", 20)
    assert visited("process.num_levels=20 sampling.grid=softplus") == ("softplus", 20)
    assert visited("process.num_levels=20", "process.num_levels=0") == (usual.grid, usual.steps)


@pytest.mark.parametrize(("recipe", "shift", "eta"), RECIPES.values(), ids=RECIPES)
def test_recipes_say_what_they_change_of_a_method(
    recipe: dict[str, Any], shift: float, eta: float
) -> None:
    """A run's config.toml holds it in full; another method, or a table, has defaults of its own."""

    def options(*assignments: str) -> tuple[dict[str, Any], dict[str, Any]]:
        settings = config.resolve(recipe, config.parse_assignments(assignments))
        return settings.process.options, settings.sampling.options

    drawing = recipe["sampling"]["options"]
    assert drawing["eta"] == eta
    assert options() == (recipe["process"]["options"], drawing)
    assert options()[0]["shift"] == shift
    own = config.resolve(recipe).sampling.sampler
    assert options("process.schedule=cosine", f"sampling.sampler={own}") == options()
    assert options("process.schedule=linear", "sampling.sampler=dpm++3m") == ({}, {})
    assert options("process.num_levels=100") == ({}, drawing)
    assert options("process.options.shift=0", "sampling.options.eta=1") == (
        recipe["process"]["options"] | {"shift": 0},
        drawing | {"eta": 1},
    )
    assert options("process.options.log_snr_max=14")[0] == {"shift": shift, "log_snr_max": 14}


@pytest.mark.parametrize(
    ("side", "optimizer", "rate"), [(8, "adamw", 1e-3), (9, "muon", 6e-3), (64, "muon", 6e-3)]
)
def test_larger_pictures_are_learned_by_muon(side: int, optimizer: str, rate: float) -> None:
    training = config.resolve(recipes.images(side, side)).training
    assert (training.optimizer, training.learning_rate) == (optimizer, rate)


@pytest.mark.parametrize(
    ("height", "width", "sides"),
    [
        (8, 8, [8, 4]),
        (28, 28, [28, 14, 7]),
        (32, 28, [32, 16, 8]),
        (32, 32, [32, 16, 8, 4]),
        (30, 30, [30, 15, 8, 4]),  # 15 is odd, and too many for the lowest
        (7, 7, [7, 4]),
    ],
)
def test_the_pyramid_of_pictures_halves_them_evenly_where_it_can(
    height: int, width: int, sides: list[int]
) -> None:
    options = recipes.images(height, width)["network"]["options"]
    assert len(options["multipliers"]) == len(sides)
    assert options["attention"] == [each for each in sides if each <= 16]


def test_without_a_recipe_a_method_has_the_defaults_of_its_class() -> None:
    for name in SCHEDULES:
        settings = config.resolve({"process": {"schedule": name}}).process
        assert settings.options == {}
        assert build_process(settings) == ContinuousProcess(SCHEDULES[name]())
    for name in SAMPLERS:
        sampling = config.resolve({"sampling": {"sampler": name}}).sampling
        assert sampling.options == {}
        assert build_stepper(sampling) == SAMPLERS[name]()
    # Hoogeboom et al. (2023) at their own resolution, and the reverse SDE.
    assert Cosine().shift == 0
    assert SAMPLERS["dpm++2m-sde"]() == DPMSolver(order=2, eta=1.0)


@pytest.mark.parametrize("text", ["{ log_snr_max = 14.0 }", "{}", "{ shift = 2.0 }"])
def test_a_config_toml_is_whole_whatever_the_recipe(tmp_path: Path, text: str) -> None:
    """What a run of old left out of its options, no recipe puts back."""
    path = tmp_path / "config.toml"
    old = config.resolve().to_toml()
    for section in ("process", "sampling"):
        assert f"[{section}.options]\n" in old
    old = old.replace("[process.options]\n", "").replace("[sampling.options]\n", "")
    path.write_text(old.replace("[process]\n", f"[process]\noptions = {text}\n"))
    given = config.load_toml(path)
    for recipe, *_ in RECIPES.values():
        settings = config.resolve(recipe, given | {"sampling": given["sampling"] | {"options": {}}})
        assert settings.process.options == given["process"]["options"]
        assert settings.sampling.options == {}


DEFAULT = config.SamplingSettings()


@pytest.mark.parametrize(
    ("assignments", "grid", "steps"),
    [
        ([], DEFAULT.grid, DEFAULT.steps),
        (["process.num_levels=1000"], "trailing", DEFAULT.steps),
        (["process.num_levels=12"], "trailing", 12),
        (["process.num_levels=12", "sampling.steps=8"], "trailing", 8),
        (["process.num_levels=12", "sampling.grid=linspace"], "linspace", 12),
        (["process.num_levels=12", "sampling.grid=karras"], "karras", 12),
    ],
)
def test_a_table_is_sampled_from_its_last_level_unless_asked_otherwise(
    assignments: list[str], grid: str, steps: int
) -> None:
    settings = config.resolve(config.parse_assignments(assignments))
    assert (settings.sampling.grid, settings.sampling.steps) == (grid, steps)
    assert config.resolve(settings.to_dict()) == settings


@pytest.mark.parametrize(
    "name", ["data", "process", "process.options", "network", "training", "sampling"]
)
def test_a_section_given_a_value_shows_one_of_its_settings(name: str) -> None:
    with pytest.raises(ArgumentError) as raised:
        config.resolve(config.parse_assignments([f"{name}=3"]))
    told, _, example = str(raised.value).rstrip(".").partition(", e.g. ")
    assert told == f"`{name}` is a section; set one of its settings"
    assert example.startswith(f"{name}.")
    config.resolve(config.parse_assignments([example]))


def test_a_value_of_several_kinds_is_named_as_it_was_given() -> None:
    with pytest.raises(ArgumentError) as raised:
        config.resolve(config.parse_assignments(["sampling.steps=many"]))
    said = "the setting 'sampling.steps' must be an integer, or 'auto'; got 'many'."
    assert str(raised.value) == said


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("training.steps=-1", "must be at least 1; got -1."),
        ("training.steps=1.5", "must be an integer; got 1.5."),
        ("training.average=2", "must be below 1; got 2."),
        ("training.flip=yes!", "must be true or false; got 'yes!'."),
        ("training.learning_rate=nan", "must be a finite number; got nan."),
        ("training.precision=int8", "one of 'auto', 'float32' or 'bfloat16'; got 'int8'."),
        ("data.rules=y", "must be a list; got 'y'."),
        ("data.range=[1,2,3]", "must be a list of 2, or 'auto'; got [1, 2, 3]."),
        ("sampling.guidance_interval=[1]", "must be a longer list; got [1]."),
        (
            "seed=99999999999999999999",
            "must be at most 9223372036854775807; got 99999999999999999999.",
        ),
    ],
)
def test_what_a_setting_must_be_is_a_sentence(assignment: str, said: str) -> None:
    with pytest.raises(ArgumentError) as raised:
        config.resolve(config.parse_assignments([assignment]))
    name = assignment.partition("=")[0]
    assert str(raised.value).startswith(f"the setting {name!r} must be ")
    assert str(raised.value).endswith(said)


def test_the_range_of_pictures_is_two_values_in_order_or_auto() -> None:
    for text, known in (("[0,4095]", (0, 4095)), ("[-1.5,1]", (-1.5, 1)), ("auto", "auto")):
        settings = config.resolve(config.parse_assignments([f"data.range={text}"]))
        assert settings.data.range == known
        assert config.resolve(tomllib.loads(settings.to_toml())) == settings
    with pytest.raises(ArgumentError, match=r"'data\.range' is wrong: it goes from a lower value"):
        config.resolve(config.parse_assignments(["data.range=[5,1]"]))


def test_the_tutorial_preset_is_the_tutorial_to_the_letter() -> None:
    """The numbers of the tutorial, each written here from its description."""
    settings = config.resolve(config.preset("tutorial"))
    data, process, training = settings.data, settings.process, settings.training
    assert (data.source, data.rows, data.noise, data.standardise) == ("s-curve", 10_000, 0.1, False)
    assert (process.schedule, process.num_levels, process.options) == ("sigmoid", 100, {})
    assert (settings.network.name, settings.network.parameterisation) == ("step-mlp", "eps")
    assert settings.network.width == 128
    assert (training.epochs, training.batch_size) == (4000, 128)
    assert (training.optimizer, training.learning_rate, training.clip) == ("adam", 1e-3, 1.0)
    assert (training.warmup, training.decay) == (0, "constant")
    assert (training.times, training.weighting) == ("antithetic", "simple")
    sampling = settings.sampling
    assert (sampling.sampler, sampling.steps) == ("ancestral", 100)
    assert sampling.options == {"variance": "beta", "last_step_noise": True}
    assert sampling.weights == "last"


def test_unknown_presets_and_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="did you mean 'tutorial'"):
        config.preset("tutoral")
    with pytest.raises(ArgumentError, match="cannot read"):
        config.load_toml(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("a = = 1")
    with pytest.raises(ArgumentError, match="not TOML"):
        config.load_toml(tmp_path / "bad.toml")


def test_many_columns_have_a_recipe_of_their_own_which_the_user_overrules() -> None:
    few = config.resolve(recipes.points(4999, 3))
    assert few.network == config.resolve().network
    assert few.training == config.resolve().training
    many = config.resolve(recipes.points(10_000, 4), {"training": {"steps": 7}})
    assert (many.training.steps, many.training.reference, many.network.width) == (7, 0, 128)


@pytest.mark.parametrize(
    ("rows", "optimizer", "drawn"), [(4999, "adamw", 256_000), (5000, "muon", 204_800)]
)
def test_few_points_are_learned_otherwise_than_many(rows: int, optimizer: str, drawn: int) -> None:
    training = config.resolve(recipes.points(rows, 2)).training
    assert training.optimizer == optimizer
    assert training.steps * training.batch_size == drawn


OLD = {"network": {"name": "unet", "target": "v", "options": {"told": "step", "groups": 8}}}


def test_an_old_name_of_a_setting_is_read_with_a_note() -> None:
    with pytest.warns(RenamedWarning) as noted:
        settings = config.resolve({"network": {"target": "x_0", "width": 8}}, OLD)
    assert settings.network.parameterisation == "v"
    assert settings.network.options == {"time_embedding": "step", "groups": 8}
    assert settings.network.width == 8
    assert {str(each.message) for each in noted} == {
        "the setting 'network.target' is now 'network.parameterisation'",
        "the setting 'network.options.told' is now 'network.options.time_embedding'",
    }


def test_what_a_program_wrote_under_old_names_is_read_without_one() -> None:
    settings = config.resolve(config.current(OLD))
    assert settings.network.parameterisation == "v"
    assert config.current(settings.to_dict()) == settings.to_dict()


@pytest.mark.parametrize("changes", [{}, {"network": 3}, {"network": {"options": "told"}}])
def test_without_old_names_nothing_is_changed(changes: dict[str, object]) -> None:
    assert config.current(changes) == changes


def test_both_names_in_one_place_are_refused() -> None:
    both = {"network": {"target": "v", "parameterisation": "v"}}
    with pytest.raises(
        ArgumentError, match=r"`network\.target` is now `network\.parameterisation`"
    ):
        config.current(both)


def _undescribed(section: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _undescribed(kind, f"{name}.")
        elif not field.description:
            yield prefix + name


def test_every_setting_says_what_it_is() -> None:
    assert list(_undescribed(Settings)) == []
