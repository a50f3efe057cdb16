"""One configuration from layers, or every mistake with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from synthgen.config.loading import ConfigError, load_config
from synthgen.config.schema import Config
from synthgen.errors import UsageError


def write(folder: Path, text: str) -> Path:
    path = folder / "my.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def problems(*args: object, **kwargs: object) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_config(*args, **kwargs)  # type: ignore[arg-type]
    assert caught.value.exit_code == 2
    return [str(problem) for problem in caught.value.problems]


def test_nothing_given_is_the_defaults() -> None:
    assert load_config() == Config()


def test_each_layer_covers_the_one_below(tmp_path: Path) -> None:
    path = write(tmp_path, "training: {batch_size: 7, learning_rate: 1e-4}\nsampling: {steps: 3}\n")
    config = load_config(path, ["training.batch_size=8", "sampling.steps=4"], {"sampling.steps": 5})
    assert config.training.learning_rate == 0.0001
    assert config.training.batch_size == 8
    assert config.sampling.steps == 5
    assert config.model == Config().model


def test_a_flag_that_was_not_given_changes_nothing() -> None:
    assert load_config("mnist", flags={"training.budget": None}) == load_config("mnist")


def test_later_set_wins() -> None:
    assert load_config(None, ["training.seed=1", "training.seed=2"]).training.seed == 2


@pytest.mark.parametrize("name", ["steps", "epochs"])
def test_another_length_lifts_the_budget_of_the_preset(name: str) -> None:
    assert load_config("mnist").training.budget is not None
    by_set = load_config("mnist", [f"training.{name}=5"]).training
    by_flag = load_config("mnist", flags={f"training.{name}": 5}).training
    assert by_set == by_flag
    assert by_set.budget is None
    assert getattr(by_set, name) == 5


def test_two_lengths_in_one_layer_are_a_mistake(tmp_path: Path) -> None:
    path = write(tmp_path, "training:\n  budget: 3m\n  steps: 5\n")
    (problem,) = problems(path)
    assert problem == f"{path}:3:10: 'training': give one of budget, steps, epochs, not budget and steps"


def test_three_mistakes_are_shown_all_three(tmp_path: Path) -> None:
    text = "model:\n  chanels: [32]\ntraining:\n  batch_size: many\n  learning_rate: -1\n"
    path = write(tmp_path, text)
    assert problems(path) == [
        f"{path}:2:3: unknown key 'model.chanels' (did you mean 'model.channels'?)",
        f"{path}:4:15: 'training.batch_size' must be a whole number, not 'many'",
        f"{path}:5:18: 'training.learning_rate' must be greater than 0, not -1",
    ]


def test_the_line_is_quoted_with_the_place_underlined(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, "# mine\nmodel:\n  timestep: 4  # steps\n"))
    assert caught.value.problems[0].place.excerpt == " 3 |   timestep: 4  # steps\n   |   ^^^^^^^^"


def test_a_key_in_the_wrong_group_is_found_in_the_right_one() -> None:
    (problem,) = problems(None, ["batch_size=4"])
    assert problem == "--set batch_size=4: unknown key 'batch_size' (did you mean 'training.batch_size'?)"


def test_a_wrong_choice_names_the_nearest() -> None:
    (problem,) = problems(None, ["sampling.sampler=huen"])
    assert problem.endswith("not 'huen' (did you mean 'heun'?)")


def test_a_wrong_flag_is_named_as_it_was_written() -> None:
    (problem,) = problems(None, None, {"training.budget": "15x"})
    assert problem == "--budget: '15x' is not a duration (write 90s, 15m or 1h30m)"


def test_a_rule_between_two_keys_points_at_the_one_that_was_written() -> None:
    (problem,) = problems("mnist", ["model.channels=[8, 16, 30]"])
    assert problem == "--set model.channels=[8, 16, 30]: 'model': norm_groups 8 does not divide channels [30]"


def test_mistakes_of_file_and_flags_come_together_file_first(tmp_path: Path) -> None:
    path = write(tmp_path, "sampling: {steps: 0}\nsampling: {}\n")
    found = problems(path, ["data.limit=0", "nonsense"])
    assert [text.partition(": ")[0] for text in found] == [
        f"{path}:1:19",
        f"{path}:2:1",
        "--set nonsense",
        "--set data.limit=0",
    ]


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("training", "write it as key=value"),
        ("training..seed=1", "write it as key=value"),
        ("model=4", "must be a group of settings, not 4"),
        ("model.channels.0=8", "must be a list, like [a, b], not a group"),
        ("data.image_size=[8, 8, 8]", "must be a whole number, or have at most 2 entries, not [8, 8, 8]"),
        ("training.betas=[0.9]", "must have at least 2 entries, not [0.9]"),
        ("data.image_size=2", "between 4 and 1024 pixels"),
        ("training.learning_rate=.inf", "must be a finite number, not inf"),
        ("training.learning_rate=.nan", "must be a finite number, not nan"),
        ("data.augment.horizontal_flip=perhaps", "must be true or false, not 'perhaps'"),
        ("data.source={a", "not valid YAML"),
        ("data.classes=[]", "must have at least one entry"),
        ("sampling.guidance_interval=[2, 1]", "must be [low, high]"),
    ],
)
def test_wrong_overrides_say_why_in_plain_words(override: str, reason: str) -> None:
    (problem,) = problems(None, [override])
    assert problem.startswith(f"--set {override}: ")
    assert reason in problem
    assert "Input should" not in problem
    assert "pydantic" not in problem


def test_numbers_may_be_class_names() -> None:
    assert load_config(None, ["data.classes=[3, shoe]"]).data.classes == ("3", "shoe")


def test_an_empty_group_keeps_its_defaults(tmp_path: Path) -> None:
    assert load_config(write(tmp_path, "model:\ntraining:\n  seed: 3\n")).training.seed == 3


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    assert load_config(write(tmp_path, "# nothing yet\n")) == Config()


def test_a_run_folder_stands_for_its_config(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("training: {seed: 9}\n")
    assert load_config(tmp_path).training.seed == 9


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"- 1\n- 2\n", "must hold `key: value` lines"),
        (b"just words\n", "must hold `key: value` lines"),
        (b"\xff\xfe\x00", "not UTF-8 text"),
        (b"data: {source: a\n", "not valid YAML"),
        (b"data:\n\tsource: a\n", "a tab; YAML is indented with spaces"),
        (b"data:\n  source: \x07\n", "a character that YAML does not allow"),
        (b"a: 1\n---\nb: 2\n", "not valid YAML"),
        (b"data: &x {source: a}\nmodel: *x\n", "aliases are not supported"),
        (b"data: !!python/object:os.system {}\n", "is not supported"),
        (b"[" * 5000, "levels deep"),
        (b"x" * 2_000_000, "larger than 1 MB"),
    ],
)
def test_files_that_are_no_configuration(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "odd.yaml"
    path.write_bytes(content)
    assert reason in problems(path)[0]


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "windows.yaml"
    path.write_bytes(b"\xef\xbb\xbftraining:\r\n  seed: 4\r\n")
    assert load_config(path).training.seed == 4


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("mnsit", "no such preset: 'mnsit' (did you mean 'mnist'?)"),
        ("missing.yaml", "no such file: 'missing.yaml'"),
        ("tests", "'tests' is a folder without a config.yaml"),
    ],
)
def test_unknown_sources(source: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tests").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        load_config(source)
    assert caught.value.message == message
    assert caught.value.hint
