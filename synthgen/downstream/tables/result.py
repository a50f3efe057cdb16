"""What the experiment on a table found, in figures and in sentences."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from synthgen.downstream.leaks import LeakCheck
from synthgen.downstream.statistics import Difference
from synthgen.downstream.tables.learners import LEARNERS, LearnerName, Recipe
from synthgen.downstream.tables.measures import TITLES
from synthgen.downstream.tables.problem import Problem

_OPENINGS = {
    ("both", "real"): "Adding the synthetic rows",
    ("both", "smote"): "Adding the synthetic rows instead of SMOTE's",
    ("smote", "real"): "Adding SMOTE's rows",
    ("filled", "real"): "Filling up the rare classes with synthetic rows",
    ("filled", "repeated"): "Filling up the rare classes with synthetic rows instead of repeating their real ones",
    ("filled", "filled_smote"): "Filling up the rare classes with synthetic rows instead of SMOTE's",
}
"""How a sentence on a comparison of these kinds begins."""


@dataclass(frozen=True)
class Design:
    """How an experiment is made. ratios: synthetic per real row, None for all there are; several are compared."""

    learners: tuple[LearnerName, ...] = ("boosting", "mlp")
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    ratios: tuple[float | None, ...] = (None,)
    allow_leak: bool = False

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self) | {"ratios": ["all" if ratio is None else ratio for ratio in self.ratios]}


@dataclass(frozen=True)
class Figure:
    """One measure of one variant: one value per seed, their mean, and the deviation between them (None for one)."""

    values: tuple[float, ...]
    mean: float
    deviation: float | None


@dataclass(frozen=True)
class Variant:
    """The models of one learner trained on one kind of rows. rows: in the training set, repetitions included."""

    name: str
    label: str
    kind: str
    ratio: float | None
    rows: int
    figures: dict[str, Figure]


@dataclass(frozen=True)
class Comparison:
    """Variant `name` against another one, on the same seeds and test rows. labels, kinds: of both."""

    learner: LearnerName
    measure: str
    name: str
    against: str
    labels: tuple[str, str]
    kinds: tuple[str, str]
    difference: Difference

    @property
    def amount(self) -> str:
        """The difference and its interval."""
        one = self.difference
        return f"{TITLES[self.measure]} {one.value:+.4f}, 95 % interval {one.low:+.4f} to {one.high:+.4f}"

    @property
    def sentence(self) -> str:
        """What the interval allows to say."""
        verdict, who = self.difference.verdict, LEARNERS[self.learner]
        _, _, how = self.labels[0].partition(", ")
        how = f" ({how})" if how else ""
        if self.kinds == ("synthetic", "real"):
            said = {"helps": "beats", "hurts": "is behind", "no difference": "is not told apart from"}[verdict]
            return f"Training {who} on synthetic rows alone {said} training it on real ones ({self.amount})."
        if self.kinds in _OPENINGS:
            said = verdict if verdict != "no difference" else "makes no difference that could be shown to"
            return f"{_OPENINGS[self.kinds]}{how} {said} {who} ({self.amount})."
        said = {"helps": "better", "hurts": "worse", "no difference": "no difference that could be shown"}[verdict]
        return f"{who}, {self.labels[0]} against {self.labels[1]}: {said} ({self.amount})."

    def to_dict(self) -> dict[str, Any]:
        one = self.difference
        return {
            "learner": self.learner,
            "measure": self.measure,
            "variant": self.name,
            "against": self.against,
            "difference": one.value,
            "interval": [one.low, one.high],
            "verdict": one.verdict,
            "sentence": self.sentence,
        }


@dataclass(frozen=True)
class Trained:
    """All variants of one learner. recipe: of all of them, chosen with real training rows alone."""

    learner: LearnerName
    recipe: Recipe
    variants: dict[str, Variant]


@dataclass(frozen=True)
class TableAugmentation:
    """The result at one number of real rows; `to_dict` is what --json prints. rare: names of rare classes."""

    problem: Problem
    real_count: int
    synthetic_count: int
    test: str
    test_count: int
    class_counts: tuple[int, ...]
    design: Design
    measures: tuple[str, ...]
    trained: tuple[Trained, ...]
    comparisons: tuple[Comparison, ...]
    leak: LeakCheck
    warnings: tuple[str, ...]
    rare: tuple[str, ...] = ()
    positives: tuple[str, ...] = field(default=())

    @property
    def learner(self) -> LearnerName:
        """Whose verdict counts: the learner that predicts validation rows best when trained on real rows alone."""
        return min(self.trained, key=lambda one: one.recipe.loss).learner

    @property
    def measure(self) -> str:
        """The measure that verdicts are about."""
        return self.measures[0]

    def find(self, kind: str, against: str, learner: LearnerName, measure: str | None = None) -> Comparison:
        """The comparison of a kind at its largest ratio with another. Raises StopIteration when there is none."""
        wanted = (learner, measure or self.measure, kind, against)
        found = [one for one in self.comparisons if (one.learner, one.measure, *one.kinds) == wanted]
        return next(iter(reversed(found)))

    @property
    def headline(self) -> Comparison:
        """Adding synthetic rows (or filling up with them) against the real ones as they are."""
        return self.find("filled" if self.rare else "both", "real", self.learner)

    @property
    def headline_smote(self) -> Comparison:
        """The same against SMOTE, which needs no generator."""
        return self.find(*(("filled", "filled_smote") if self.rare else ("both", "smote")), self.learner)

    @property
    def verdict(self) -> str:
        """helps, no difference or hurts; void when the generator saw the test rows."""
        return "void" if self.leak.status == "test" else self.headline.difference.verdict

    @property
    def sentence(self) -> str:
        """The verdict in words: void when the generator saw the test rows, qualified when it may have seen more."""
        if self.leak.status == "test":
            return f"Void: {self.leak.message}."
        if self.leak.refused:
            return f"NOT LEAK-FREE: {self.leak.message}. {self.headline.sentence}"
        if self.verdict == "helps" and not self.leak.clean:
            return f"{self.headline.sentence} That it is the generator's merit is not shown: {self.leak.message}."
        return self.headline.sentence

    def sentences(self) -> list[str]:
        """Further findings: against SMOTE, synthetic rows alone, the other learner, the rare classes' recall."""
        found = [] if self.leak.status == "test" else [self.headline_smote.sentence]
        main = "filled" if self.rare else "both"
        for one in self.trained:
            if not self.rare:
                found.append(self.find("synthetic", "real", one.learner).sentence)
            else:
                found.append(self.find(main, "repeated", one.learner).sentence)
            if one.learner != self.learner:
                found.append(self.find(main, "real", one.learner).sentence)
        if self.rare:
            found += [self.find(main, "real", one.learner, "rare_recall").sentence for one in self.trained]
            others = ("real", "repeated", "filled_smote")
            found += [self.find(main, base, self.learner, "balanced_accuracy").sentence for base in others]
        return found

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, snake_case."""
        return {
            "kind": "synthgen-augmentation",
            "modality": "tables",
            "verdict": self.verdict,
            "sentence": self.sentence,
            "verdict_against_smote": self.headline_smote.difference.verdict,
            "sentences": self.sentences(),
            "learner": self.learner,
            "measure": self.measure,
            "target": self.problem.target,
            "task": "regression" if self.problem.regression else "classification",
            "learners": {
                one.learner: {name: asdict(variant) for name, variant in one.variants.items()} for one in self.trained
            },
            "recipes": {one.learner: one.recipe.to_dict() for one in self.trained},
            "comparisons": [one.to_dict() for one in self.comparisons],
            "leak": self.leak.to_dict(),
            "leak_free": self.leak.clean,
            "warnings": list(self.warnings),
            "real_count": self.real_count,
            "synthetic_count": self.synthetic_count,
            "class_counts": dict(zip(self.problem.classes, self.class_counts, strict=True)),
            "rare_classes": list(self.rare),
            "positive_classes": list(self.positives),
            "test": self.test,
            "test_count": self.test_count,
            "seeds": list(self.design.seeds),
            "design": self.design.to_dict(),
        }
