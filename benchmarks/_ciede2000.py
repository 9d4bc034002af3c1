"""Colour differences between images by CIEDE2000.

Sharma, Wu and Dalal, "The CIEDE2000 color-difference formula: implementation notes, supplementary test data, and
mathematical observations", 2005. A difference of 1 is about the smallest that people see.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TO_XYZ = np.array(  # linear sRGB to XYZ, IEC 61966-2-1
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
WHITE = TO_XYZ.sum(1)


def to_lab(rgb: Floats) -> Floats:
    """Return sRGB (... x 3, 0 to 1) as CIE L*a*b*."""
    rgb = np.clip(rgb, 0, 1)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = linear @ TO_XYZ.T / WHITE
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = np.moveaxis(f, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def ciede2000(lab_1: Floats, lab_2: Floats) -> Floats:
    """Return the colour difference of each pair of L*a*b* colours (... x 3)."""
    (l_1, a_1, b_1), (l_2, a_2, b_2) = (np.moveaxis(lab, -1, 0) for lab in (lab_1, lab_2))
    mean_c7 = ((np.hypot(a_1, b_1) + np.hypot(a_2, b_2)) / 2) ** 7
    g = 0.5 * (1 - np.sqrt(mean_c7 / (mean_c7 + 25.0**7)))
    a_1, a_2 = a_1 * (1 + g), a_2 * (1 + g)
    c_1, c_2 = np.hypot(a_1, b_1), np.hypot(a_2, b_2)
    h_1, h_2 = np.degrees(np.arctan2(b_1, a_1)) % 360, np.degrees(np.arctan2(b_2, a_2)) % 360
    grey = c_1 * c_2 == 0
    turn = np.where(grey, 0, (h_2 - h_1 + 180) % 360 - 180)
    delta_h = 2 * np.sqrt(c_1 * c_2) * np.sin(np.radians(turn / 2))
    mean_l, mean_c = (l_1 + l_2) / 2, (c_1 + c_2) / 2
    apart = np.abs(h_1 - h_2) > 180
    mean_h = np.where(grey, h_1 + h_2, np.where(apart, ((h_1 + h_2 + 360) / 2) % 360, (h_1 + h_2) / 2))
    t = (
        1
        - 0.17 * _cos(mean_h - 30)
        + 0.24 * _cos(2 * mean_h)
        + 0.32 * _cos(3 * mean_h + 6)
        - 0.2 * _cos(4 * mean_h - 63)
    )
    s_l = 1 + 0.015 * (mean_l - 50) ** 2 / np.sqrt(20 + (mean_l - 50) ** 2)
    s_c, s_h = 1 + 0.045 * mean_c, 1 + 0.015 * mean_c * t
    rotation = (
        -2 * np.sqrt(mean_c**7 / (mean_c**7 + 25.0**7)) * np.sin(np.radians(60 * np.exp(-(((mean_h - 275) / 25) ** 2))))
    )
    light, c, h = (l_2 - l_1) / s_l, (c_2 - c_1) / s_c, delta_h / s_h
    return np.asarray(np.sqrt(light * light + c * c + h * h + rotation * c * h))


def _cos(degrees: Floats) -> Floats:
    return np.cos(np.radians(degrees))
