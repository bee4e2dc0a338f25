# SPDX-License-Identifier: GPL-3.0-or-later
"""The object to remove: a small red car with luggage, driving left to right."""

import math

import bpy
import numpy as np

import shapes
from materials import lamp_glow, surface

WHEEL_RADIUS = 0.25
WHEELBASE = (-0.62, 0.60)
TRACK = 0.44
HEIGHT = 1.62
LENGTH = 2.15
WIDTH = 1.06
START = (-3.25, 1.05)
SPEED = (3.0, 2.3)  # metres a second at the first and at the last frame


def build_car():
    """Return (root, wheels); everything hangs on the root empty."""
    paint = surface("car paint", (0.50, 0.022, 0.015), roughness=0.32, stain=0.12, fleck=0.05, bump=0.01, coat=0.7)
    cream = surface("car roof", (0.72, 0.64, 0.47), roughness=0.35, stain=0.12, fleck=0.05, bump=0.01, coat=0.5)
    glass = surface("car glass", (0.012, 0.016, 0.02), roughness=0.06, stain=0.1, fleck=0.0, bump=0.0, coat=0.4)
    chrome = surface("car chrome", (0.75, 0.75, 0.75), roughness=0.16, stain=0.1, fleck=0.0, bump=0.02, metallic=1.0)
    rubber = surface("rubber", (0.018, 0.018, 0.019), roughness=0.85)
    root = bpy.data.objects.new("car", None)
    bpy.context.scene.collection.objects.link(root)
    wheels = [_wheel(x, side, rubber, cream, chrome) for x in WHEELBASE for side in (-1, 1)]
    parts = _body(paint, cream, glass, rubber) + _trim(chrome, rubber) + _luggage(chrome)
    for part in parts + [wheel for wheel, _ in wheels]:
        part.parent = root
    for part in root.children_recursive:
        part.pass_index = 1
    return root, [wheel for wheel, _ in wheels]


def _body(paint, cream, glass, rubber):
    lower = shapes.superellipsoid("car lower", (0.0, 0, 0.53), (1.0, 0.485, 0.27), 0.42, paint)
    cabin = shapes.superellipsoid("car cabin", (-0.14, 0, 0.86), (0.66, 0.42, 0.42), 0.55, paint)
    cabin.data.materials.append(glass)
    cabin.data.materials.append(cream)
    middles = np.array([face.center for face in cabin.data.polygons])
    cabin.data.polygons.foreach_set("material_index", _cabin_zone(middles))
    cabin.data.update()
    parts = [lower, cabin]
    for x in WHEELBASE:
        for side in (-1, 1):
            parts.append(shapes.superellipsoid("fender", (x, side * 0.40, 0.42), (0.33, 0.13, 0.24), 0.75, paint))
            parts.append(_disc("arch", (x, side * 0.515, 0.30), 0.285, 0.02, side, rubber))
    return parts


def _cabin_zone(middles):
    """0 paint, 1 glass, 2 roof for each face of the cabin."""
    x, y, z = middles.T
    band = (z > -0.06) & (z < 0.24)
    door_pillar = (np.abs(x + 0.16) < 0.035) & (np.abs(y) > 0.25)
    corner_pillar = (np.abs(x) > 0.50) & (np.abs(y) > 0.31)
    zone = np.where(band & ~door_pillar & ~corner_pillar, 1, 0)
    return np.where(z > 0.29, 2, zone).astype(np.int32)


def _disc(name, centre, radius, thickness, side, material):
    disc = shapes.lathe(name, [(0, 0), (radius * 0.96, 0), (radius, -thickness * 0.3), (radius, -thickness)],
                        material, centre)
    disc.rotation_euler = (-side * math.pi / 2, 0, 0)
    return disc


def _wheel(x, side, rubber, cream, chrome):
    """A tyre whose holes in the rim show that it turns; its local Z is the axle."""
    half = 0.075
    tyre = shapes.lathe("tyre", [(0.12, half), (0.2, half + 0.012), (0.242, half - 0.01), (WHEEL_RADIUS, half - 0.04),
                                 (WHEEL_RADIUS, -half)], rubber, (x, side * (TRACK + 0.02), WHEEL_RADIUS))
    tyre.rotation_euler = (-side * math.pi / 2, 0, 0)
    rim = shapes.lathe("rim", [(0, half), (0.16, half), (0.17, half - 0.02)], cream, (0, 0, 0.004))
    cap = shapes.lathe("hub cap", [(0, half + 0.035), (0.05, half + 0.03), (0.075, half)], chrome)
    pieces = [rim, cap]
    for hole in range(5):
        angle = 2 * math.pi * hole / 5
        centre = (0.115 * math.cos(angle), 0.115 * math.sin(angle), half + 0.006)
        pieces.append(shapes.lathe("rim hole", [(0, 0), (0.026, 0)], rubber, centre, 12))
    for piece in pieces:
        piece.parent = tyre
    return tyre, side


def _trim(chrome, rubber):
    glow = lamp_glow("headlamp", (1.0, 0.86, 0.62), 2.2)
    red = surface("tail lamp", (0.35, 0.01, 0.01), roughness=0.2, bump=0.0)
    plate = surface("number plate", (0.7, 0.7, 0.66), roughness=0.5)
    parts = []
    for end, y_reach in ((1.0, 0.44), (-1.0, 0.44)):
        parts.append(shapes.tube("bumper", (end * 1.03, -y_reach, 0.37), (end * 1.03, y_reach, 0.37), 0.035, chrome))
        parts.append(shapes.box("plate", (end * 1.0, 0, 0.47), (0.02, 0.36, 0.09), plate))
    for y in (-0.33, 0.33):
        parts.append(shapes.superellipsoid("lamp bowl", (0.91, y, 0.62), (0.10, 0.10, 0.10), 1.0, chrome, (32, 16)))
        parts.append(shapes.superellipsoid("lamp", (0.965, y, 0.62), (0.06, 0.08, 0.08), 1.0, glow, (32, 16)))
        parts.append(shapes.superellipsoid("tail lamp", (-0.97, y, 0.60), (0.05, 0.06, 0.08), 1.0, red, (32, 16)))
    for side in (-1, 1):
        y = side * 0.487
        parts.append(shapes.tube("side strip", (-0.80, y, 0.585), (0.80, y, 0.585), 0.011, chrome))
        parts.append(shapes.tube("door handle", (-0.22, y * 0.99, 0.665), (-0.12, y * 0.99, 0.665), 0.014, chrome))
        for x in (-0.32, 0.29):
            parts.append(shapes.tube("door gap", (x, y * 1.0, 0.36), (x, y * 0.985, 0.72), 0.006, rubber))
    parts.append(shapes.tube("mirror stalk", (0.34, -0.42, 0.82), (0.38, -0.54, 0.86), 0.008, chrome))
    parts.append(shapes.superellipsoid("mirror", (0.38, -0.56, 0.87), (0.02, 0.055, 0.045), 0.7, chrome, (32, 16)))
    return parts


def _luggage(chrome):
    tan = surface("leather", (0.26, 0.115, 0.04), roughness=0.55, stain=0.3, bump=0.3)
    green = surface("green case", (0.05, 0.11, 0.085), roughness=0.5, bump=0.2)
    strap = surface("strap", (0.06, 0.03, 0.015), roughness=0.6)
    blanket = surface("blanket", (0.09, 0.18, 0.36), roughness=0.95, stain=0.3, bump=0.6)
    parts = [shapes.tube("rack rail", (-0.55, y, 1.31), (0.25, y, 1.31), 0.012, chrome) for y in (-0.3, 0.3)]
    parts += [shapes.tube("rack foot", (x, y, 1.22), (x, y, 1.31), 0.012, chrome)
              for x in (-0.5, 0.2) for y in (-0.3, 0.3)]
    parts += [shapes.box("suitcase", (-0.27, 0, 1.40), (0.56, 0.52, 0.17), tan, 0.03),
              shapes.box("small case", (-0.30, -0.02, 1.53), (0.40, 0.40, 0.11), green, 0.025)]
    parts += [shapes.box("strap", (x, 0, 1.40), (0.035, 0.535, 0.185), strap, 0.01) for x in (-0.43, -0.11)]
    parts.append(shapes.tube("blanket", (0.13, -0.27, 1.385), (0.13, 0.27, 1.385), 0.085, blanket))
    return parts


def position(seconds, duration):
    """Distance driven: a car that eases off on the cobbles."""
    slowing = (SPEED[1] - SPEED[0]) / duration
    return SPEED[0] * seconds + slowing * seconds ** 2 / 2


def animate(root, wheels, frames, fps):
    """Key every frame, one beyond each end for the motion blur."""
    for frame in range(0, frames + 2):
        seconds = (frame - 1) / fps
        way = position(seconds, frames / fps)
        root.location = (START[0] + way, START[1] - 0.05 * way, 0.02 + _rattle(seconds, 0.012))
        root.rotation_euler = (_rattle(seconds + 3.1, 0.012), _rattle(seconds + 1.7, 0.014), -0.05)
        root.keyframe_insert("location", frame=frame)
        root.keyframe_insert("rotation_euler", frame=frame)
        for wheel in wheels:
            roll = way / WHEEL_RADIUS
            side = 1 if wheel.location.y > 0 else -1
            wheel.rotation_euler = (-side * math.pi / 2, 0, 0)
            wheel.rotation_euler.rotate_axis("Z", side * roll)
            wheel.rotation_mode = "QUATERNION"
            wheel.rotation_quaternion = wheel.rotation_euler.to_quaternion()
            wheel.keyframe_insert("rotation_quaternion", frame=frame)


def _rattle(seconds, size):
    return size * (0.6 * math.sin(31.0 * seconds) + 0.4 * math.sin(47.3 * seconds + 0.8))
