"""Colours by meaning: readers who see fewer hues, or none, can still tell them apart, and can read the text on them."""

import re
from itertools import combinations

import numpy as np
import pytest

from serving.pages.rendering import read_style

MIN_DISTANCE = 15.0  # in OKLab, times 100
# Machado, Oliveira, Fernandes 2009: "A physiologically-based model for simulation of color vision deficiency",
# severity 1.0, for linear RGB. Greyscale keeps the luminance of ITU-R BT.709.
VISION = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
    "greyscale": np.tile([0.2126, 0.7152, 0.0722], (3, 1)),
}
# Ottosson 2020: "A perceptual color space for image processing".
LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
OKLAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
MEANINGS = {
    "bands": ("low-ground", "watch-ground", "high-ground", "critical-ground"),
    "charts": ("raise", "lower", "total"),
}
SCHEMES = ("light", "dark")


def read_tokens(scheme: str) -> dict[str, str]:
    """The colours of a scheme by name; the dark ones are in a media query."""
    light, dark = re.findall(r":root \{(.*?)\}", read_style(), re.DOTALL)[:2]
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", light if scheme == "light" else dark))


def linear_rgb(colour: str) -> np.ndarray:
    channels = np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def seen_as(colour: str, vision: str) -> np.ndarray:
    """The OKLab coordinates of a colour, times 100, as it is seen."""
    return OKLAB @ np.cbrt(LMS @ np.clip(VISION[vision] @ linear_rgb(colour), 0, 1)) * 100


def contrast(colour: str, other: str) -> float:
    """The contrast ratio of WCAG 2."""
    darker, lighter = sorted(float(VISION["greyscale"][0] @ linear_rgb(name)) for name in (colour, other))
    return (lighter + 0.05) / (darker + 0.05)


def test_published_values_are_reproduced():
    assert seen_as("#ff0000", "normal") == pytest.approx([62.8, 22.5, 12.6], abs=0.1)
    assert contrast("#ffffff", "#000000") == pytest.approx(21)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("meaning", MEANINGS)
@pytest.mark.parametrize("vision", VISION)
def test_colours_of_one_meaning_can_be_told_apart(scheme: str, meaning: str, vision: str):
    tokens = read_tokens(scheme)
    distances = {
        (first, second): float(np.linalg.norm(seen_as(tokens[first], vision) - seen_as(tokens[second], vision)))
        for first, second in combinations(MEANINGS[meaning], 2)
    }
    assert {pair: distance for pair, distance in distances.items() if distance < MIN_DISTANCE} == {}


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", ["low", "watch", "high", "critical", "fault"])
def test_text_can_be_read_on_its_ground(scheme: str, name: str):
    tokens = read_tokens(scheme)
    assert contrast(tokens[f"{name}-text"], tokens[f"{name}-ground"]) >= 4.5


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", MEANINGS["charts"])
def test_bars_can_be_seen_on_the_panel(scheme: str, name: str):
    tokens = read_tokens(scheme)
    assert contrast(tokens[name], tokens["panel"]) >= 3
