"""Params of every stage: types, limits, meaning. The values are in params.yaml, which lists every key."""

from typing import Literal

from pydantic import Field

from shared.core.params import Section
from shared.core.sections import Explain, FitParams, Runtime


class Fetch(Section):
    source: Literal["sample", "official"]
    seed: int = Field(ge=0)  # of the sample
    num_train: int = Field(ge=10)  # images of the sample
    num_test: int = Field(ge=5)


class Prepare(Section):
    seed: int = Field(ge=0)  # of the draws below
    height: int = Field(ge=32, le=4096)  # px, of what the network sees at once: a whole image, or a tile of it
    width: int = Field(ge=32, le=4096)
    fit: Literal["tile", "scale"]  # larger images: cut into tiles at their own resolution, or scaled to fit
    overlap_px: int = Field(ge=0)  # of neighbouring tiles, at least
    ignore: list[int | str]  # values or class names in the masks that count in no loss and no score
    group: str  # regular expression, searched for in file names: images of one match stay in one split; "": none
    ground: int = Field(ge=0, le=255)  # grey level behind transparency and beside images smaller than a tile
    white: float = Field(gt=0)  # the number that is white, in image files of more than 8 bits; 0 is black
    valid_fraction: float = Field(ge=0, lt=1)  # of train, where the data has no valid split
    test_fraction: float = Field(gt=0, lt=1)  # of all images, where the data has no test split


class Model(Section):
    # "unet", "unet_lite0" (the same on EfficientNet-Lite0), or one of torchvision: deeplabv3_resnet50, fcn_resnet50,
    # lraspp_mobilenet_v3_large and so on
    name: str
    width: int = Field(ge=4)  # U-Nets: channels at the finest level; twice as many a level, up to 8 times
    depth: int = Field(ge=1, le=6)  # U-Net: how often the resolution is halved
    stem: Literal[1, 2, 4]  # U-Net: by how much the first layer reduces the image; the last enlarges again


class Train(FitParams):
    model: Model
    # To start from: a file of weights of the whole network or its backbone, package:<module>/<file in it>; "": none
    weights: str
    backbone_lr_factor: float = Field(gt=0)  # of the rate of a network's backbone, against that of the rest
    filter_lr: float = Field(ge=0)  # of Muon, at its highest: convolutions of `unet` before batch norm; 0: AdamW
    lr: float = Field(gt=0)  # of AdamW, at its highest: all other weights, and networks of torchvision
    weight_decay: float = Field(ge=0)
    warmup_fraction: float = Field(ge=0, lt=1)  # of all updates, before the rate falls linearly to 0
    class_weight_power: float = Field(ge=0, le=1)  # weight of a class: its share of the pixels, to minus this power
    dice_weight: float = Field(ge=0)  # of the Dice loss, beside cross-entropy
    crop_height: int = Field(ge=16)  # px, of what a training step sees of an image
    crop_width: int = Field(ge=16)
    rare_crops: float = Field(ge=0, le=1)  # share of crops around a pixel of a class, each class of the image alike
    zoom: tuple[float, float] = Field(strict=False)  # smallest and largest factor of an image's size
    flip: bool  # mirror images left-right, in training and in the second view
    colour: float = Field(ge=0, lt=1)  # largest change of brightness, contrast and of each channel, as a fraction
    views: Literal[1, 2]  # of an image, which predictions average: itself, and mirrored


class Evaluate(Section):
    seed: int = Field(ge=0)  # of the bootstrap and the baseline
    num_worst: int = Field(ge=1)  # images with the lowest IoU that are shown
    baseline_pixels: int = Field(ge=100)  # training pixels of the classifier that the network is compared with


class Params(Section):
    fetch: Fetch | None = None  # None: the data are your own
    prepare: Prepare
    train: Train
    evaluate: Evaluate
    explain: Explain
    runtime: Runtime
