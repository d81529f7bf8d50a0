"""Params of every stage: types, limits, meaning. The values are in params.yaml, which lists every key."""

from typing import Literal

from pydantic import Field

from shared.core.params import Section
from shared.core.sections import Explain, FitParams, Runtime
from shared.image.params import Reading


class Fetch(Section):
    source: Literal["sample", "official"]
    seed: int = Field(ge=0)  # of the sample
    num_train: int = Field(ge=10)  # scenes of the sample
    num_valid: int = Field(ge=10)
    num_test: int = Field(ge=10)


class Prepare(Section):
    seed: int = Field(ge=0)  # of the draws below
    width_px: int = Field(ge=32, le=2048, multiple_of=32)  # every image is fitted into this, its shape kept,
    height_px: int = Field(ge=32, le=2048, multiple_of=32)  # with borders
    ground: int = Field(ge=0, le=255)  # grey level of those borders and behind transparency
    white: float = Field(gt=0)  # the number that is white, in files of more than 8 bits
    valid_fraction: float = Field(ge=0, lt=1)  # of train, where the data give no validation images
    test_fraction: float = Field(gt=0, lt=1)  # of all images, where the data give no test images
    group: str  # regular expression, searched for in paths: images of one match (a video) stay in one split; "": none
    first_pixel: Literal["auto", "0", "1"]  # of VOC coordinates; auto: 1, unless some coordinate is 0
    faulty_boxes: Literal["refuse", "drop"]  # outside of the image, without area, not numbers; masks likewise
    masks: bool  # keep the masks of the objects, which Mask R-CNN learns: of COCO's JSON, or instance PNGs

    @property
    def reading(self) -> Reading:
        """How the pixels of a file are read."""
        side = min(1024, max(self.width_px, self.height_px))
        return Reading(image_size=side, channels=3, fit="pad", ground=self.ground, white=self.white)


class Model(Section):
    name: str  # "compact", or fasterrcnn, fcos, retinanet, ssdlite, maskrcnn_resnet50_fpn (_v2): torchvision's
    width: int = Field(ge=8, multiple_of=8)  # channels of the compact net's first block
    finest_px: Literal[4, 8]  # distance of the compact net's predictions where they are densest
    weights: str  # a local file of a torchvision detector's weights (COCO's); "hub": torchvision's own; "": none


class Train(FitParams):
    model: Model
    lr: float = Field(gt=0)  # AdamW
    weight_decay: float = Field(ge=0)
    warmup_fraction: float = Field(ge=0, lt=1)  # of all updates; the rate falls as a cosine after it
    flip: bool  # mirror images left to right
    flip_vertical: bool  # and upside down
    quarter_turns: bool  # turn by 0, 90, 180 or 270 degrees: where nothing has an upright direction
    zoom: float = Field(ge=0, lt=1)  # images are enlarged or reduced by up to this factor less or more
    shift: float = Field(ge=0, lt=1)  # and moved by up to this share of their sides
    colour: float = Field(ge=0, lt=1)  # brightness, contrast and saturation change by up to this factor
    mosaic: float = Field(ge=0, le=1)  # share of the images that are made of four
    plain_fraction: float = Field(ge=0, le=1)  # of the training, at its end, without mosaics


class Evaluate(Section):
    seed: int = Field(ge=0)  # of the bootstrap and the baseline
    batch_size: int = Field(ge=1)
    max_detections: int = Field(ge=1)  # of an image, those of the highest score
    nms_iou: float = Field(gt=0, le=1)  # two boxes of one class that overlap more are one object
    show_score: float = Field(ge=0, le=1)  # what is drawn, and counted as an error by its kind
    num_worst: int = Field(ge=1)  # pictures with the most errors
    baseline_images: int = Field(ge=1)  # training images of the baseline


class ExplainDetections(Explain):
    num_masks: int = Field(ge=10)  # random masks of a detection, for the method `masking`


class Params(Section):
    fetch: Fetch | None = None  # None: the data are your own
    prepare: Prepare
    train: Train
    evaluate: Evaluate
    explain: ExplainDetections
    runtime: Runtime
