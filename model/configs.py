"""Complete runs as functions: each returns the network, the recipe and what the data is.

Published are the recipes of MMNet for CASME II in five and in three classes, and the scores of the same network on SAMM
in three and MMEW in four. The other configurations take over the closest published recipe; their docstrings say which.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

# Order of the outputs everywhere: in labels, files and the viewer.
THREE_CLASSES = ("negative", "positive", "surprise")
SYNTHETIC_CLASSES = (*THREE_CLASSES, "none")  # none: a blink, speech, a turn of the head, or nothing at all
FOUR_CLASSES = (*THREE_CLASSES, "others")
FIVE_CLASSES = ("happiness", "surprise", "disgust", "repression", "others")
SAMM_FIVE_CLASSES = ("anger", "happiness", "surprise", "contempt", "others")
MMEW_FOUR_CLASSES = ("happiness", "surprise", "disgust", "others")
SEVEN_CLASSES = ("happiness", "disgust", "fear", "anger", "sadness", "surprise", "others")


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """What differs between the published networks: the classes and the depth of the position branch.

    `architecture` is "mmnet", or for comparison "no-position" (MMNet without the position branch) or "resnet18".
    """

    class_names: tuple[str, ...]
    position_blocks: int
    position_mlp_ratio: float
    architecture: str = "mmnet"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a network is trained: AdamW on the cross-entropy, for a number of epochs that is fixed beforehand.

    In every epoch the frames of a pair are drawn anew near the coded ones (`PairSource.draw`). The learning rate is
    multiplied by `decay` after each of the first `decay_epochs` epochs; it rises linearly over the first `warmup_steps`
    steps. The head learns at `head_rate` times that. Augmentation is drawn once a pair, for both frames: horizontal
    flip, rotation, crop after padding, brightness and contrast, grey in place of colour. `intensity_jitter` magnifies
    or weakens the difference apex − onset by up to this much (natural logarithm). `label_smoothing`: Szegedy et al.
    2016, section 7. `still_probability`: how often the onset is shown twice, under the label "none".
    """

    epochs: int
    batch_size: int
    learning_rate: float
    head_rate: float
    weight_decay: float
    decay: float
    decay_epochs: int
    warmup_steps: int
    flip_probability: float
    rotation_deg: float
    padding_px: int
    colour_jitter: float
    intensity_jitter: float = 0.0
    grey_probability: float = 0.0
    label_smoothing: float = 0.0
    still_probability: float = 0.0


@dataclass(frozen=True, slots=True)
class RunConfig:
    """One run. `training_data` and `protocol` go into the exported file, for whoever uses the network.

    `classes` names the class protocol that turns the emotions of prepared samples into classes; "" where the data come
    with class numbers.
    """

    name: str
    network: NetworkConfig
    recipe: Recipe
    training_data: str
    protocol: str
    classes: str = ""


def casme2_5class() -> RunConfig:
    """CASME II in five classes as published (88.35 % / F1 0.8676, best test epoch of each subject).

    The paper names colour jitter but not its strength: 0.1 is ours.
    """
    return RunConfig(
        name="casme2_5class",
        network=NetworkConfig(FIVE_CLASSES, position_blocks=2, position_mlp_ratio=4.0),
        recipe=Recipe(
            epochs=74,
            batch_size=32,
            learning_rate=8e-4,
            head_rate=1.0,
            weight_decay=0.6,
            decay=0.987,
            decay_epochs=50,
            warmup_steps=0,
            flip_probability=0.5,
            rotation_deg=3.0,
            padding_px=15,
            colour_jitter=0.1,
        ),
        training_data="CASME II, 5 classes",
        protocol="leave one subject out, fixed number of epochs",
        classes="casme2_5class",
    )


def casme2_3class() -> RunConfig:
    """CASME II in three classes as published (95.51 % / F1 0.9494, best test epoch of each subject).

    Positive is happiness; negative is repression, disgust, fear and sadness. This is not the composite three-class task
    of MEGC 2019. The paper names colour jitter but not its strength: 0.1 is ours.
    """
    return RunConfig(
        name="casme2_3class",
        network=NetworkConfig(THREE_CLASSES, position_blocks=3, position_mlp_ratio=2.0),
        recipe=Recipe(
            epochs=99,
            batch_size=24,
            learning_rate=8e-4,
            head_rate=1.0,
            weight_decay=0.7,
            decay=0.987,
            decay_epochs=50,
            warmup_steps=0,
            flip_probability=0.0,
            rotation_deg=4.0,
            padding_px=4,
            colour_jitter=0.1,
        ),
        training_data="CASME II, 3 classes",
        protocol="leave one subject out, fixed number of epochs",
        classes="casme2_3class",
    )


def _like(published: RunConfig, name: str, class_names: tuple[str, ...], training_data: str) -> RunConfig:
    """A published recipe and network depth for other data."""
    network = replace(published.network, class_names=class_names)
    return replace(published, name=name, network=network, training_data=training_data, classes=name)


def samm_3class() -> RunConfig:
    """SAMM in three classes: the score is published (90.22 % / F1 0.8391, best test epoch of each subject).

    Derived: the recipe, which is that of CASME II in three classes.
    """
    return _like(casme2_3class(), "samm_3class", THREE_CLASSES, "SAMM, 3 classes")


def samm_5class() -> RunConfig:
    """SAMM in five classes. Derived: everything, from CASME II in five classes; no score is published."""
    return _like(casme2_5class(), "samm_5class", SAMM_FIVE_CLASSES, "SAMM, 5 classes")


def mmew_4class() -> RunConfig:
    """MMEW in four classes: the score is published (87.45 % / F1 0.8635, best test epoch of each subject).

    Derived: the recipe, which is that of CASME II in five classes.
    """
    return _like(casme2_5class(), "mmew_4class", MMEW_FOUR_CLASSES, "MMEW, 4 classes")


def casme3_3class() -> RunConfig:
    """CAS(ME)³ part A in three classes. Derived: everything, from CASME II in three classes; no score is published."""
    return _like(casme2_3class(), "casme3_3class", THREE_CLASSES, "CAS(ME)^3 part A, 3 classes")


def casme3_4class() -> RunConfig:
    """CAS(ME)³ part A in four classes. Derived: everything, from CASME II in three classes.

    The authors give no score; an independent re-implementation reports 79.14 % / F1 0.6799.
    """
    return _like(casme2_3class(), "casme3_4class", FOUR_CLASSES, "CAS(ME)^3 part A, 4 classes")


def casme3_7class() -> RunConfig:
    """CAS(ME)³ part A in seven classes. Derived: everything, from CASME II in five classes; no score is published."""
    return _like(casme2_5class(), "casme3_7class", SEVEN_CLASSES, "CAS(ME)^3 part A, 7 classes")


def megc2019_3class() -> RunConfig:
    """The composite task of MEGC 2019: the listed 442 samples of CASME II, SMIC-HS and SAMM, 68 subjects.

    Published: samples and classes, by the challenge. Derived: the recipe, from CASME II in three classes.
    """
    return _like(casme2_3class(), "megc2019_3class", THREE_CLASSES, "CASME II, SMIC-HS and SAMM as in MEGC 2019")


def composite_3class() -> RunConfig:
    """Every prepared set in three classes. Derived: everything, from CASME II in three classes; no score is published.

    For a network that is to be used rather than compared: more people and cameras than any single set has.
    """
    return _like(casme2_3class(), "composite_3class", THREE_CLASSES, "several data sets, 3 classes")


def synthetic() -> RunConfig:
    """Three classes and none from synthetic pairs: the published network, a recipe for thousands of pairs.

        mmnet train --pairs TRAIN/pairs --validate HELD-OUT/pairs --out runs/synthetic

    The head sums 100,352 features, so one step of AdamW at 1e-3 moves a logit by tens: it learns at a few thousandths
    of the rate of the rest. Over ninety epochs with a weight decay of 0.7, as published, that would even out.
    """
    return RunConfig(
        name="synthetic",
        network=replace(casme2_3class().network, class_names=SYNTHETIC_CLASSES),
        recipe=Recipe(
            epochs=14,
            batch_size=64,
            learning_rate=1e-3,
            head_rate=0.01,
            weight_decay=0.05,
            decay=0.75,
            decay_epochs=14,
            warmup_steps=200,
            flip_probability=0.5,
            rotation_deg=4.0,
            padding_px=8,
            colour_jitter=0.2,
            intensity_jitter=0.25,
            grey_probability=0.15,
            label_smoothing=0.05,
        ),
        training_data="synthetic pairs: portraits moved by muscle animation, no real micro-expression",
        protocol="people held out, fixed number of epochs",
    )


def synthetic_refined() -> RunConfig:
    """The end of the synthetic run: a few pairs more at a low rate, among them pictures in which nothing moves at all.

        mmnet train --start runs/synthetic/checkpoint.safetensors --config synthetic_refined --pairs … --validate …

    A difference of exactly zero was so rare in the first run that the network read the face instead.
    """
    config = synthetic()
    recipe = replace(
        config.recipe,
        epochs=2,
        batch_size=16,
        learning_rate=1.5e-4,
        head_rate=0.1,
        decay=0.3,
        warmup_steps=10,
        still_probability=0.12,
    )
    return replace(config, name="synthetic_refined", recipe=recipe)


def synthetic_no_position() -> RunConfig:
    """The comparison without the position branch."""
    return _varied("no-position")


def synthetic_resnet18() -> RunConfig:
    """The comparison with a plain ResNet-18 on the difference; its head is small and learns like the rest."""
    varied = _varied("resnet18")
    return replace(varied, recipe=replace(varied.recipe, head_rate=1.0))


def _varied(architecture: str) -> RunConfig:
    config = synthetic()
    network = replace(config.network, architecture=architecture)
    return replace(config, name=f"synthetic_{architecture.replace('-', '_')}", network=network)


CONFIGS: dict[str, Callable[[], RunConfig]] = {
    function.__name__: function
    for function in (
        *(casme2_5class, casme2_3class, samm_5class, samm_3class, mmew_4class),
        *(casme3_3class, casme3_4class, casme3_7class, megc2019_3class, composite_3class),
        *(synthetic, synthetic_refined, synthetic_no_position, synthetic_resnet18),
    )
}
