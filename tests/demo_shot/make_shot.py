# SPDX-License-Identifier: GPL-3.0-or-later
"""Build and render the demo shot: a small car crossing an old street.

    python make_shot.py RENDER_DIR            (a Python that can import bpy 5.0)
    python encode_shot.py RENDER_DIR          (numpy, OpenCV and PyAV)

The first command writes three sequences of PNG files and front.npz under
RENDER_DIR; the second makes source.mp4, truth.mp4 and matte.mkv of them,
beside this file. Rendering took 28 minutes of processor time: 32 minutes on
two cores shared with other work, some 15 if they are free.

    truth/   the street without the car, whole frames
    source/  the same with the car, only the region that it can change
             (the rest of the frame is transparent)
    car/     the car white on black, anti-aliased and motion-blurred
    front.npz  where the lamp post and the bollards stand in the picture: what
               is in front of the car stays out of the matte
"""

import argparse
import math
import pathlib
import sys

import bpy
import numpy as np
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import car
import materials
import shapes
import street

WIDTH, HEIGHT = 640, 360
FPS, FRAMES = 25, 60
SEED = 20
SUNLIGHT = Vector((0.82, 0.36, -0.70))
REGION_MARGIN = 0.045  # of the frame, around the car and its shadow
SHUTTER = 0.5
PASSES = ("truth", "source", "front", "car")


def build_scene():
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.world = bpy.data.worlds.new("sky")
    materials.hazy_sky(scene.world, 0.8)
    street.build_street(SEED)
    root, wheels = car.build_car()
    car.animate(root, wheels, FRAMES, FPS)
    _add_sun(scene)
    _add_camera(scene)
    return scene, root


def _add_sun(scene):
    sun = bpy.data.lights.new("sun", "SUN")
    sun.energy, sun.angle, sun.color = 7.0, math.radians(1.1), (1.0, 0.90, 0.76)
    holder = bpy.data.objects.new("sun", sun)
    holder.rotation_mode = "QUATERNION"
    holder.rotation_quaternion = SUNLIGHT.to_track_quat("-Z", "Y")
    scene.collection.objects.link(holder)


def _add_camera(scene):
    lens = bpy.data.cameras.new("camera")
    lens.lens = 33.0
    lens.dof.use_dof, lens.dof.focus_distance, lens.dof.aperture_fstop = True, 8.5, 3.2
    camera = bpy.data.objects.new("camera", lens)
    scene.collection.objects.link(camera)
    scene.camera = camera
    for frame in range(0, FRAMES + 2):
        seconds = (frame - 1) / FPS
        share = (frame - 1) / (FRAMES - 1)
        eased = share * share * (3 - 2 * share) * 0.5 + share * 0.5
        camera.location = (-0.72 + 1.35 * eased + _shake(seconds, 0.0, 0.008), -6.0 + 0.25 * eased,
                           1.58 + _shake(seconds, 1.9, 0.012))
        camera.rotation_euler = (math.radians(87.2 + _shake(seconds, 4.2, 0.22)),
                                 math.radians(_shake(seconds, 2.6, 0.16)),
                                 math.radians(1.2 - 1.6 * eased + _shake(seconds, 7.7, 0.25)))
        camera.keyframe_insert("location", frame=frame)
        camera.keyframe_insert("rotation_euler", frame=frame)


def _shake(seconds, phase, size):
    """A hand that holds a camera: slow sway with a little tremor on it."""
    return size * (0.62 * math.sin(4.1 * seconds + phase) + 0.28 * math.sin(9.7 * seconds + 2.3 * phase)
                   + 0.10 * math.sin(23.0 * seconds + 3.7 * phase))


def set_up_render(scene, samples):
    scene.render.engine = "CYCLES"
    scene.render.resolution_x, scene.render.resolution_y = WIDTH, HEIGHT
    scene.render.resolution_percentage = 100
    scene.render.fps = FPS
    scene.frame_start, scene.frame_end = 1, FRAMES
    scene.render.use_motion_blur, scene.render.motion_blur_shutter = True, SHUTTER
    scene.render.use_persistent_data = True
    scene.render.image_settings.media_type = "IMAGE"
    scene.render.image_settings.file_format = "PNG"
    scene.render.image_settings.color_mode = "RGBA"
    scene.render.image_settings.color_depth = "16"
    scene.render.image_settings.compression = 30
    scene.view_settings.view_transform = "AgX"
    scene.view_settings.look = "AgX - Medium High Contrast"
    scene.view_settings.exposure = 0.55
    cycles = scene.cycles
    cycles.device, cycles.samples, cycles.seed = "CPU", samples, SEED
    cycles.use_animated_seed = True
    cycles.use_adaptive_sampling = False
    cycles.use_denoising, cycles.denoiser = True, "OPENIMAGEDENOISE"
    cycles.denoising_prefilter = "FAST"
    cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces = 3, 1, 2
    cycles.caustics_reflective = cycles.caustics_refractive = False
    cycles.sample_clamp_indirect = 4.0


def set_up_car_mask(scene):
    """Instead of shading: brightness = object index, which is 1 on the car only."""
    bpy.context.view_layer.material_override = materials.index_as_brightness("car mask")
    scene.view_settings.view_transform, scene.view_settings.look = "Raw", "None"
    scene.view_settings.exposure = 0.0
    scene.world.node_tree.nodes["Background"].inputs["Strength"].default_value = 0.0
    cycles = scene.cycles
    cycles.samples, cycles.max_bounces, cycles.use_denoising = 16, 0, False


def show_car(root, shown):
    for part in root.children_recursive:
        part.hide_render = not shown


def changed_region(scene, root):
    """Left, right, bottom, top of what the car and its shadow can change, 0..1."""
    corners = [Vector((x, y, z)) for x in (-car.LENGTH / 2, car.LENGTH / 2)
               for y in (-car.WIDTH / 2, car.WIDTH / 2) for z in (0.0, car.HEIGHT)]
    points = [root.matrix_world @ corner for corner in corners]
    points += [point + SUNLIGHT * (point.z / -SUNLIGHT.z) for point in points]
    seen = [world_to_camera_view(scene, scene.camera, point) for point in points]
    across, up = [p.x for p in seen], [p.y for p in seen]
    aspect = WIDTH / HEIGHT
    limits = (min(across) - REGION_MARGIN, max(across) + REGION_MARGIN,
              min(up) - REGION_MARGIN * aspect, max(up) + REGION_MARGIN * aspect)
    return [min(1.0, max(0.0, limit)) for limit in limits]


def render_pass(scene, root, name, frames, folder):
    show_car(root, name != "truth")
    scene.render.use_border = name != "truth"
    scene.render.use_crop_to_border = False
    for frame in frames:
        scene.frame_set(frame)
        render = scene.render
        render.border_min_x, render.border_max_x, render.border_min_y, render.border_max_y = \
            changed_region(scene, root)
        render.filepath = str(folder / name / f"{frame:03d}.png")
        bpy.ops.render.render(write_still=True)


def rings_in_picture(scene, post):
    """The rings of a turned post in pixels, (rings, points, xy), at the scene's time."""
    seen = [world_to_camera_view(scene, scene.camera, post.matrix_world @ vertex.co) for vertex in post.data.vertices]
    pixels = np.array([(p.x * WIDTH, (1.0 - p.y) * HEIGHT) for p in seen], dtype=np.float32)
    return pixels.reshape(-1, shapes.SEGMENTS, 2)


def save_front(scene, path):
    """One array for each post: (frames, shutter opens and closes, rings, points, xy)."""
    posts = [thing for thing in scene.objects if thing.name.startswith(street.POSTS)]
    tracks = {post.name: [] for post in posts}
    for frame in range(1, FRAMES + 1):
        moments = {post.name: [] for post in posts}
        for moment in (frame - SHUTTER / 2, frame + SHUTTER / 2):
            scene.frame_set(int(moment), subframe=moment % 1.0)
            for post in posts:
                moments[post.name].append(rings_in_picture(scene, post))
        for name, pair in moments.items():
            tracks[name].append(pair)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **{name: np.array(track) for name, track in tracks.items()})


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, help="where the PNG sequences go")
    parser.add_argument("--samples", type=int, default=12)
    parser.add_argument("--frames", type=int, nargs="+", default=range(1, FRAMES + 1), help="only these, for tests")
    parser.add_argument("--passes", nargs="+", choices=PASSES, default=PASSES, help="only these, for tests")
    return parser.parse_args()


def main():
    wanted = arguments()
    scene, root = build_scene()
    set_up_render(scene, wanted.samples)
    for name in PASSES:  # the car pass comes last: it takes the shading away
        if name not in wanted.passes:
            continue
        if name == "front":
            save_front(scene, wanted.folder / "front.npz")
            continue
        if name == "car":
            set_up_car_mask(scene)
        render_pass(scene, root, name, wanted.frames, wanted.folder.resolve())


if __name__ == "__main__":
    main()
