# SPDX-License-Identifier: GPL-3.0-or-later
"""Mesh builders of the demo shot: every solid in the picture comes from here.

A vertex colour called "tint" carries the small differences from brick to
brick and leaf to leaf, so that thousands of pieces share one mesh and one
material.
"""

import bmesh
import bpy
import numpy as np
from mathutils import Vector

WHITE = (1.0, 1.0, 1.0)
SEGMENTS = 40  # around a turned thing


def mesh_object(name, vertices, faces, material, tints=None, smooth=False):
    """Link a new object; `tints` is one RGB per vertex, white when absent."""
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(np.asarray(vertices).tolist(), [], faces)
    if smooth:
        mesh.shade_smooth()
    rgba = np.ones((len(vertices), 4), dtype=np.float32)
    if tints is not None:
        rgba[:, :3] = tints
    mesh.color_attributes.new("tint", "FLOAT_COLOR", "POINT").data.foreach_set("color", rgba.ravel())
    mesh.materials.append(material)
    thing = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(thing)
    return thing


def _chamfered_cube():
    """Corner signs, the axis each vertex is not inset on, and the triangles."""
    signs, axes = [], []
    for corner in np.ndindex(2, 2, 2):
        for axis in range(3):
            signs.append([2 * bit - 1 for bit in corner])
            axes.append(axis)
    signs, axes = np.array(signs, dtype=float), np.array(axes)
    points = signs * np.where(np.arange(3) == axes[:, None], 1.0, 0.8)
    shell = bmesh.new()
    vertices = [shell.verts.new(point) for point in points]
    shell.verts.index_update()
    bmesh.ops.convex_hull(shell, input=vertices)
    triangles = np.array([[v.index for v in face.verts] for face in shell.faces])
    shell.free()
    return signs, axes, triangles


def blocks(name, pieces, material, bevel=0.006, jitter=0.0, rng=None, smooth=False):
    """One mesh of many chamfered boxes; a piece is (centre, size, tint).

    `jitter` (metres) moves single vertices, which makes stones of boxes.
    """
    signs, axes, triangles = _chamfered_cube()
    centres = np.array([piece[0] for piece in pieces], dtype=float)
    halves = np.array([piece[1] for piece in pieces], dtype=float) / 2
    tints = np.array([piece[2] for piece in pieces], dtype=float)
    inset = bevel * (np.arange(3) != axes[:, None])
    vertices = centres[:, None] + signs * np.maximum(halves[:, None] - inset, 0.0005)
    if jitter:
        vertices += rng.uniform(-jitter, jitter, vertices.shape)
    offsets = np.arange(len(pieces))[:, None, None] * len(signs)
    faces = (triangles[None] + offsets).reshape(-1, 3).tolist()
    return mesh_object(name, vertices.reshape(-1, 3), faces, material,
                       np.repeat(tints, len(signs), axis=0), smooth)


def box(name, centre, size, material, bevel=0.01):
    return blocks(name, [(centre, size, WHITE)], material, bevel)


def lathe(name, profile, material, centre=(0, 0, 0), segments=SEGMENTS):
    """Turn a profile of (radius, height) pairs around the vertical axis."""
    angles = np.linspace(0, 2 * np.pi, segments, endpoint=False)
    rings = [np.stack([r * np.cos(angles), r * np.sin(angles), np.full(segments, z)], axis=1)
             for r, z in profile]
    faces = []
    for ring in range(len(profile) - 1):
        for k in range(segments):
            a, b = ring * segments + k, ring * segments + (k + 1) % segments
            faces.append((a, b, b + segments, a + segments))
    turned = mesh_object(name, np.concatenate(rings), faces, material, smooth=True)
    turned.location = centre
    return turned


def tube(name, start, end, radius, material):
    start, end = Vector(start), Vector(end)
    length = (end - start).length
    made = lathe(name, [(0.0, 0.0), (radius, 0.0), (radius, length), (0.0, length)], material, start, 14)
    made.rotation_mode = "QUATERNION"
    made.rotation_quaternion = (end - start).to_track_quat("Z", "Y")
    return made


def superellipsoid(name, centre, radii, squareness, material, steps=(160, 80)):
    """A rounded box: squareness 1 is an ellipsoid, towards 0 a sharp box."""
    def power(value):
        return np.sign(value) * np.abs(value) ** squareness

    around = np.linspace(-np.pi, np.pi, steps[0], endpoint=False)
    up = np.linspace(-np.pi / 2, np.pi / 2, steps[1])
    u, v = np.meshgrid(around, up)
    shape = np.stack([power(np.cos(v)) * power(np.cos(u)),
                      power(np.cos(v)) * power(np.sin(u)), power(np.sin(v))], axis=-1)
    faces = []
    for row in range(steps[1] - 1):
        for k in range(steps[0]):
            a, b = row * steps[0] + k, row * steps[0] + (k + 1) % steps[0]
            faces.append((a, b, b + steps[0], a + steps[0]))
    body = mesh_object(name, shape.reshape(-1, 3) * radii, faces, material, smooth=True)
    body.location = centre
    return body


def leaves(name, points, size, rng, material, facing=None):
    """Small folded leaves at `points`, turned at random or leaning to `facing`."""
    count = len(points)
    normals = rng.normal(size=(count, 3)) + (0 if facing is None else 2.2 * np.asarray(facing))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    along = np.cross(normals, rng.normal(size=(count, 3)))
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    across = np.cross(normals, along)
    scale = size * rng.uniform(0.6, 1.3, (count, 1))
    tip, side, fold = along * scale, across * scale * 0.42, normals * scale * 0.16
    corners = np.stack([points - tip, points + side + fold, points + tip, points - side + fold], axis=1)
    shade = rng.uniform(0.55, 1.25, (count, 1))
    hue = np.concatenate([rng.uniform(0.75, 1.35, (count, 1)), np.ones((count, 1)),
                          rng.uniform(0.6, 1.1, (count, 1))], axis=1)
    first = np.arange(count)[:, None] * 4
    faces = np.concatenate([first + [0, 1, 2], first + [0, 2, 3]]).tolist()
    return mesh_object(name, corners.reshape(-1, 3), faces, material, np.repeat(shade * hue, 4, axis=0))


def points_in_ellipsoid(centre, radii, count, rng):
    """Random points, denser near the skin, as the leaves of a bush are."""
    directions = rng.normal(size=(count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return np.asarray(centre) + directions * rng.uniform(0.35, 1.0, (count, 1)) ** 0.5 * radii


def lettering(name, text, centre, height, material):
    """Flat letters standing on a wall that faces the camera (-Y)."""
    curve = bpy.data.curves.new(name, "FONT")
    curve.body, curve.size, curve.extrude = text, height, 0.004
    curve.align_x, curve.align_y = "CENTER", "CENTER"
    typeset = bpy.data.meshes.new_from_object(bpy.data.objects.new(name, curve))
    vertices = [vertex.co[:] for vertex in typeset.vertices]
    letters = mesh_object(name, vertices, [list(face.vertices) for face in typeset.polygons], material)
    letters.location, letters.rotation_euler = centre, (np.pi / 2, 0, 0)
    return letters
