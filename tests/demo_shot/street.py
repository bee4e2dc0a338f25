# SPDX-License-Identifier: GPL-3.0-or-later
"""The set: an old street with a brick house, an alley and a cobbled road.

X runs along the street, the camera looks along +Y, metres throughout.
"""

import numpy as np

import shapes
from materials import foliage, surface

HOUSE_FRONT = 4.2
HOUSE_END = 2.5
HOUSE_LEFT = -9.0
HOUSE_TOP = 6.5
KERB = 2.55
PAVEMENT = 0.13
NEIGHBOUR_LEFT = 4.7
POSTS = ("lamp post", "bollard")  # names of what stands between camera and car
DOOR = (-0.95, 0.05, PAVEMENT, 2.35)            # x0, x1, z0, z1
WINDOWS = ((-3.75, -2.25, 0.95, 2.35), (1.0, 1.95, 1.05, 2.35),
           (-3.5, -2.5, 3.3, 4.8), (-0.95, 0.05, 3.3, 4.8), (1.0, 1.95, 3.3, 4.8),
           (-6.6, -5.4, 0.95, 2.35))


def build_street(seed):
    rng = np.random.default_rng(seed)
    stone = surface("stone", (0.34, 0.32, 0.28), roughness=0.85, bump=0.5, grime_height=0.45)
    wood = surface("old wood", (0.27, 0.165, 0.085), roughness=0.8, stain=0.45, fleck=0.35, bump=0.4)
    iron = surface("cast iron", (0.022, 0.03, 0.028), roughness=0.45, bump=0.25, stain=0.3)
    green = foliage("leaf", (0.075, 0.155, 0.028))
    _road(rng, stone)
    _house(rng, stone, wood)
    _shop_front(rng, wood, iron)
    _alley_and_neighbour(rng, stone, green)
    _pavement_things(rng, wood, iron, green)
    _foreground(rng, iron, stone, green)
    _shade_trees(rng, green)


def _grey_brown(rng, low, high):
    """A tint around grey that leans a little warm or cold."""
    lean = rng.normal(0, 0.045)
    return np.array([1 + lean, 1.0, 1 - lean]) * rng.uniform(low, high)


def _road(rng, stone):
    setts = surface("setts", (0.215, 0.2, 0.185), roughness=0.62, stain=0.45, stain_scale=0.7, bump=0.5)
    dirt = surface("dirt", (0.085, 0.072, 0.052), roughness=0.95, bump=0.8)
    slabs = surface("paving slabs", (0.36, 0.34, 0.305), roughness=0.85, stain=0.4, stain_scale=1.1, bump=0.35)
    shapes.box("ground", (0, 30, -0.145), (120, 90, 0.2), dirt)
    pieces, y = [], -4.2
    while y < KERB - 0.13:
        depth = rng.uniform(0.115, 0.135)
        x = -7.0 + rng.uniform(0, 0.2)
        while x < 8.5:
            width = rng.uniform(0.13, 0.24)
            camber = -0.0016 * (y + 0.5) ** 2
            middle = (x + width / 2, y + depth / 2, camber - 0.06 + rng.normal(0, 0.004))
            pieces.append((middle, (width - 0.014, depth - 0.014, 0.12), _grey_brown(rng, 0.62, 1.25)))
            x += width
        y += depth
    shapes.blocks("cobbles", pieces, setts, 0.022, 0.007, rng, smooth=True)
    kerb = [((x, KERB, PAVEMENT / 2 - 0.02), (0.93, 0.16, PAVEMENT + 0.04), _grey_brown(rng, 0.8, 1.1))
            for x in np.arange(-9, 10, 0.95)]
    shapes.blocks("kerb", kerb, stone, 0.018, 0.006, rng)
    paving = []
    for row, y in enumerate(np.arange(KERB + 0.37, HOUSE_FRONT, 0.56)):
        for x in np.arange(-9 + 0.37 * row, 10, 0.74):
            paving.append(((x, y, PAVEMENT - 0.05 + rng.normal(0, 0.002)), (0.728, 0.548, 0.1),
                           _grey_brown(rng, 0.78, 1.1)))
    shapes.blocks("pavement", paving, slabs, 0.008, 0.002, rng)


def _free_spans(left, right, openings):
    """The parts of left..right that no (x0, x1) opening takes."""
    spans, cursor = [], left
    for x0, x1 in sorted(openings):
        if x0 > cursor:
            spans.append((cursor, min(x0, right)))
        cursor = max(cursor, x1)
    if cursor < right:
        spans.append((cursor, right))
    return spans


def _brick_courses(rng, left, right, bottom, top, openings):
    bricks = []
    length, course = 0.225, 0.075
    for row, z in enumerate(np.arange(bottom, top, course)):
        cut = [(x0, x1) for x0, x1, z0, z1 in openings if z + course > z0 and z < z1]
        for x0, x1 in _free_spans(left, right, cut):
            edges = [x for x in np.arange(left - length * (row % 2) / 2, right, length) if x0 + 0.03 < x < x1 - 0.03]
            for a, b in zip([x0, *edges], [*edges, x1]):
                y = HOUSE_FRONT + 0.05 + rng.normal(0, 0.0025)
                bricks.append((((a + b) / 2, y, z + course / 2), (b - a - 0.011, 0.1, course - 0.011),
                               _brick_tint(rng)))
    return bricks


def _brick_tint(rng):
    """Mostly even red, some burnt dark, some pale."""
    kind = rng.random()
    base = np.array([1.0, 1.0, 1.0])
    if kind < 0.12:
        base = np.array([0.5, 0.55, 0.62])
    elif kind > 0.9:
        base = np.array([1.35, 1.5, 1.55])
    return base * rng.uniform(0.75, 1.2) * (1 + rng.normal(0, 0.05, 3))


def _house(rng, stone, wood):
    brick = surface("brick", (0.30, 0.115, 0.068), roughness=0.9, stain=0.4, stain_scale=0.8, bump=0.45,
                    grime_height=0.7)
    mortar = surface("mortar", (0.36, 0.33, 0.28), roughness=0.95, bump=0.5, grime_height=0.7)
    openings = [DOOR, *WINDOWS]
    shapes.blocks("bricks", _brick_courses(rng, HOUSE_LEFT, HOUSE_END, PAVEMENT + 0.36, HOUSE_TOP, openings),
                  brick, 0.007, 0.002, rng)
    rows = sorted({PAVEMENT, HOUSE_TOP, *(z for o in openings for z in o[2:])})
    core = []
    for z0, z1 in zip(rows, rows[1:]):
        cut = [(o[0], o[1]) for o in openings if o[2] < z1 and o[3] > z0]
        for x0, x1 in _free_spans(HOUSE_LEFT, HOUSE_END - 0.01, cut):
            core.append((((x0 + x1) / 2, HOUSE_FRONT + 0.15, (z0 + z1) / 2), (x1 - x0, 0.28, z1 - z0), shapes.WHITE))
    shapes.blocks("mortar", core, mortar, 0.001)
    shapes.box("house core", ((HOUSE_LEFT + HOUSE_END) / 2, 8.0, HOUSE_TOP / 2),
               (HOUSE_END - HOUSE_LEFT - 0.02, 6.3, HOUSE_TOP), mortar)
    plinth = [(((x0 + x1) / 2, HOUSE_FRONT - 0.01, PAVEMENT + 0.18), (x1 - x0 - 0.008, 0.12, 0.36),
               _grey_brown(rng, 0.85, 1.1))
              for a, b in _free_spans(HOUSE_LEFT, HOUSE_END, [DOOR[:2]])
              for x0, x1 in zip(np.linspace(a, b, 8)[:-1], np.linspace(a, b, 8)[1:])]
    shapes.blocks("plinth", plinth, stone, 0.012, 0.004, rng)
    shapes.box("string course", ((HOUSE_LEFT + HOUSE_END) / 2, HOUSE_FRONT - 0.03, 2.98),
               (HOUSE_END - HOUSE_LEFT + 0.06, 0.14, 0.13), stone, 0.02)
    quoins = [((HOUSE_END - 0.13 + 0.06 * (k % 2), HOUSE_FRONT - 0.005, PAVEMENT + 0.5 + 0.3 * k),
               (0.42 - 0.12 * (k % 2), 0.12, 0.288), _grey_brown(rng, 0.85, 1.1)) for k in range(20)]
    shapes.blocks("quoins", quoins, stone, 0.012, 0.004, rng)
    frame = surface("window frame", (0.62, 0.60, 0.54), roughness=0.6, stain=0.25, bump=0.2)
    # Opaque and dark: glass that is half seen through costs many samples to get rid of its noise.
    pane = surface("pane", (0.016, 0.02, 0.024), roughness=0.07, stain=0.3, fleck=0.0, bump=0.03, bump_scale=3.0)
    for number, opening in enumerate(WINDOWS):
        _window(number, opening, stone, frame, pane)
    _door(stone)
    gutter = surface("zinc", (0.23, 0.25, 0.26), roughness=0.4, metallic=0.7, bump=0.1)
    shapes.tube("drain pipe", (0.52, HOUSE_FRONT - 0.07, PAVEMENT + 0.1), (0.52, HOUSE_FRONT - 0.07, 6.0), 0.045, gutter)
    for z in (0.6, 2.0, 3.6):
        shapes.tube("pipe clip", (0.52, HOUSE_FRONT - 0.07, z), (0.52, HOUSE_FRONT - 0.07, z + 0.05), 0.058, gutter)


def _window(number, opening, stone, frame, pane):
    x0, x1, z0, z1 = opening
    x, z, wide, high = (x0 + x1) / 2, (z0 + z1) / 2, x1 - x0, z1 - z0
    deep = HOUSE_FRONT + 0.16
    linen = surface("curtain", (0.30, 0.29, 0.26), roughness=0.95, stain=0.3, bump=0.2)
    shapes.box("pane", (x, deep + 0.1, z), (wide, 0.006, high), pane, 0.001)
    shapes.box("sill", (x, HOUSE_FRONT - 0.06, z0 - 0.04), (wide + 0.24, 0.26, 0.08), stone)
    shapes.box("lintel", (x, HOUSE_FRONT - 0.005, z1 + 0.09), (wide + 0.3, 0.12, 0.2), stone)
    bars = [((x0 + 0.03, deep - 0.02, z), (0.07, 0.06, high), shapes.WHITE),
            ((x1 - 0.03, deep - 0.02, z), (0.07, 0.06, high), shapes.WHITE),
            ((x, deep - 0.02, z), (0.06, 0.06, high), shapes.WHITE),
            ((x, deep - 0.02, z0 + 0.04), (wide, 0.06, 0.08), shapes.WHITE),
            ((x, deep - 0.02, z1 - 0.04), (wide, 0.06, 0.08), shapes.WHITE),
            ((x, deep - 0.02, z0 + 0.62 * high), (wide, 0.045, 0.04), shapes.WHITE)]
    shapes.blocks("window bars", bars, frame, 0.006)
    folds = [((x0 + side * wide + (0.05 - 0.1 * side) * (1 + k), deep + 0.06 + 0.02 * (k % 2), z),
              (0.09, 0.05, high), np.full(3, 0.8 + 0.2 * (k % 2))) for side in (0, 1) for k in range(2 + number % 2)]
    shapes.blocks("curtain", folds, linen, 0.02)


def _door(stone):
    paint = surface("door paint", (0.035, 0.115, 0.10), roughness=0.4, stain=0.25, bump=0.12)
    brass = surface("brass", (0.62, 0.42, 0.14), roughness=0.25, metallic=1.0, bump=0.05)
    x0, x1, z0, z1 = DOOR
    x, wide, y = (x0 + x1) / 2, x1 - x0, HOUSE_FRONT + 0.15
    shapes.box("door leaf", (x, y, (z0 + z1) / 2), (wide, 0.06, z1 - z0), paint)
    panels = [((x + dx, y - 0.035, z), (wide * 0.36, 0.03, high), shapes.WHITE)
              for dx in (-wide * 0.22, wide * 0.22) for z, high in ((0.6, 0.62), (1.42, 0.75), (2.08, 0.32))]
    shapes.blocks("door panels", panels, paint, 0.02)
    shapes.superellipsoid("knob", (x1 - 0.09, y - 0.09, 1.1), (0.035, 0.035, 0.035), 1.0, brass, (24, 12))
    shapes.box("letter slot", (x, y - 0.04, 1.02), (0.2, 0.02, 0.045), brass, 0.004)
    jambs = [((side, HOUSE_FRONT - 0.01, (z0 + z1) / 2 + 0.05), (0.16, 0.13, z1 - z0 + 0.1), shapes.WHITE)
             for side in (x0 - 0.06, x1 + 0.06)]
    jambs.append(((x, HOUSE_FRONT - 0.015, z1 + 0.12), (wide + 0.34, 0.15, 0.22), shapes.WHITE))
    jambs.append(((x, HOUSE_FRONT - 0.1, z0 + 0.06), (wide + 0.35, 0.5, 0.13), shapes.WHITE))
    shapes.blocks("door stones", jambs, stone, 0.015)


def _shop_front(rng, wood, iron):
    """Awning, sign board and posters: straight edges and letters to restore."""
    cloth = surface("awning cloth", (0.8, 0.8, 0.8), roughness=0.9, stain=0.2, bump=0.15)
    left, right, top, drop, reach = -3.95, -2.05, 2.78, 0.36, 0.85
    stripes, tints, faces = [], [], []
    edges = np.linspace(left, right, 12)
    for k, (a, b) in enumerate(zip(edges, edges[1:])):
        tint = (0.72, 0.67, 0.55) if k % 2 else (0.10, 0.20, 0.24)
        y0, y1 = HOUSE_FRONT - 0.02, HOUSE_FRONT - reach
        strip = [(a, y0, top), (b, y0, top), (b, y1, top - drop), (a, y1, top - drop),
                 (b, y1, top - drop - 0.15), ((a + b) / 2, y1, top - drop - 0.19), (a, y1, top - drop - 0.15)]
        first = len(stripes)
        stripes += strip
        tints += [tint] * len(strip)
        faces += [[first, first + 1, first + 2, first + 3], [first + 3, first + 2, first + 4, first + 5, first + 6]]
    shapes.mesh_object("awning", stripes, faces, cloth, np.array(tints))
    for x in (left + 0.03, right - 0.03):
        shapes.tube("awning arm", (x, HOUSE_FRONT, top - 0.55), (x, HOUSE_FRONT - reach, top - drop), 0.014, iron)
    board = surface("sign board", (0.05, 0.085, 0.10), roughness=0.5, stain=0.3, bump=0.1)
    gold = surface("sign letters", (0.72, 0.52, 0.20), roughness=0.4, stain=0.2, bump=0.05)
    shapes.box("sign", (-0.45, HOUSE_FRONT - 0.05, 2.72), (1.9, 0.06, 0.3), board)
    shapes.lettering("sign text", "BOULANGERIE", (-0.45, HOUSE_FRONT - 0.083, 2.72), 0.24, gold)
    paper = surface("poster paper", (1.0, 1.0, 1.0), roughness=0.9, stain=0.25, stain_scale=4, fleck=0.08, bump=0.15)
    _poster(paper, (-1.55, 1.62), (0.62, 0.88), (0.70, 0.58, 0.33), (0.50, 0.10, 0.05), "CIRQUE")
    _poster(paper, (2.22, 1.50), (0.36, 0.5), (0.62, 0.62, 0.58), (0.06, 0.16, 0.30), "JAZZ")


def _poster(paper, centre, size, ground, ink, title):
    """Sheet, sunburst and a headline."""
    x, z = centre
    y = HOUSE_FRONT - 0.012
    wide, high = size
    shapes.blocks("poster sheet", [((x, y, z), (wide, 0.006, high), ground)], paper, 0.001)
    spokes = 18
    vertices, faces = [], []
    for k in range(spokes):
        a, b = 2 * np.pi * k / spokes, 2 * np.pi * (k + 0.5) / spokes
        first = len(vertices)
        rim = wide * 0.42
        vertices += [(x, y - 0.005, z - 0.1 * high)]
        vertices += [(x + rim * np.cos(t), y - 0.005, z - 0.1 * high + rim * np.sin(t)) for t in (a, b)]
        faces.append([first, first + 1, first + 2])
    shapes.mesh_object("poster rays", vertices, faces, paper, np.tile(ink, (len(vertices), 1)))
    shapes.blocks("poster band", [((x, y, z + 0.36 * high), (wide * 0.9, 0.01, high * 0.17), ink)], paper, 0.001)
    pale = surface("poster letters", ground, roughness=0.9, stain=0.1, bump=0.0)
    shapes.lettering("poster title", title, (x, y - 0.007, z + 0.36 * high), wide * 0.23, pale)


def _alley_and_neighbour(rng, stone, green):
    ochre = surface("ochre plaster", (0.52, 0.36, 0.185), roughness=0.9, stain=0.35, stain_scale=0.9, fleck=0.12,
                    bump=0.3, grime_height=0.8)
    blue = surface("shutter paint", (0.10, 0.19, 0.26), roughness=0.6, stain=0.3, bump=0.15)
    frame = surface("neighbour frame", (0.6, 0.58, 0.52), roughness=0.6)
    dark = surface("neighbour room", (0.02, 0.022, 0.026), roughness=0.12)
    tile = surface("roof tiles", (0.28, 0.12, 0.075), roughness=0.9, stain=0.5, bump=0.5)
    shapes.box("neighbour", (NEIGHBOUR_LEFT + 4, 7.2, 3.0), (8, 6.2, 6.2), ochre)
    shapes.box("neighbour foot", (NEIGHBOUR_LEFT + 4, 7.1, 0.4), (8.06, 6.2, 0.6), stone, 0.02)
    for x, z in ((5.8, 1.75), (5.8, 4.2), (7.9, 1.75)):
        shapes.box("neighbour window", (x, 4.09, z), (0.8, 0.03, 1.25), dark)
        shapes.box("neighbour bar", (x, 4.07, z), (0.05, 0.04, 1.25), frame)
        shapes.box("neighbour sill", (x, 4.03, z - 0.68), (1.0, 0.2, 0.08), stone)
        for side in (-0.66, 0.66):
            slats = [((x + side, 4.06, z - 0.6 + 0.075 * k), (0.44, 0.05, 0.062), shapes.WHITE) for k in range(17)]
            shapes.blocks("shutter", slats, blue, 0.012)
            shapes.box("shutter back", (x + side, 4.085, z), (0.48, 0.03, 1.3), blue)
    for k, (x, wide, high) in enumerate(((-1.5, 5, 4.6), (4.0, 5.5, 3.7), (10.0, 6, 5.2))):
        far = surface("far house", ((0.55, 0.5, 0.42), (0.6, 0.47, 0.36), (0.5, 0.45, 0.4))[k], roughness=0.9)
        shapes.box("far house", (x, 21, high / 2), (wide, 5, high), far)
        shapes.box("far roof", (x, 20.4, high + 0.35), (wide + 0.3, 4.4, 0.9), tile, 0.35)
        panes = [((x + dx, 18.48, z), (0.7, 0.05, 1.1), shapes.WHITE)
                 for dx in (-1.7, -0.1, 1.5) for z in (1.3, 3.1) if z + 0.6 < high]
        shapes.blocks("far windows", panes, dark, 0.01)
    bark = surface("bark", (0.11, 0.08, 0.055), roughness=0.95, bump=0.9)
    shapes.lathe("far trunk", [(0.2, 0), (0.14, 1.0), (0.1, 2.6)], bark, (5.6, 15.5, 0))
    crown = shapes.points_in_ellipsoid((5.6, 15.5, 3.4), (1.6, 1.4, 1.5), 2600, rng)
    shapes.leaves("far crown", crown, 0.17, rng, green)


def _pot(material, x, y, radius, height, floor):
    shapes.lathe("pot", [(radius * 0.68, 0), (radius * 0.95, height * 0.86), (radius * 1.06, height * 0.88),
                         (radius * 1.06, height), (radius * 0.9, height), (radius * 0.88, height * 0.9), (0, height * 0.9)],
                 material, (x, y, floor))


def _crate(rng, wood_pieces, x, y, z, size):
    wide, high = size
    for level in range(3):
        height = z + high * (level + 0.5) / 3
        for dy in (-wide / 2, wide / 2):
            wood_pieces.append(((x, y + dy * 0.72, height), (wide, 0.02, high / 3 - 0.025), _grey_brown(rng, 0.7, 1.25)))
        for dx in (-wide / 2, wide / 2):
            wood_pieces.append(((x + dx, y, height), (0.02, wide * 0.72, high / 3 - 0.025), _grey_brown(rng, 0.7, 1.25)))
    for dx in (-wide / 2 + 0.03, wide / 2 - 0.03):
        wood_pieces.append(((x + dx, y - wide * 0.375, z + high / 2), (0.05, 0.02, high), _grey_brown(rng, 0.6, 0.9)))


def _pavement_things(rng, wood, iron, green):
    clay = surface("terracotta", (0.40, 0.165, 0.085), roughness=0.85, stain=0.35, bump=0.2)
    fruit = surface("fruit", (1.0, 1.0, 1.0), roughness=0.45, stain=0.15, bump=0.05)
    planks = []
    _crate(rng, planks, -1.72, 3.72, PAVEMENT, (0.52, 0.34))
    _crate(rng, planks, -1.70, 3.74, PAVEMENT + 0.35, (0.50, 0.32))
    _crate(rng, planks, -2.36, 3.66, PAVEMENT, (0.54, 0.36))
    shapes.blocks("crates", planks, wood, 0.004, 0.002, rng)
    for x, top, tint in ((-1.70, 0.79, (0.75, 0.33, 0.03)), (-2.36, 0.47, (0.42, 0.05, 0.03))):
        for _ in range(34):
            dx, dy = rng.uniform(-0.2, 0.2), rng.uniform(-0.15, 0.15)
            ball = shapes.superellipsoid("fruit", (x + dx, 3.7 + dy, top - 0.02 + rng.uniform(-0.02, 0.04)),
                                         (0.045, 0.045, 0.042), 1.0, fruit, (14, 8))
            shade = np.ones(4, dtype=np.float32)
            shade[:3] = np.array(tint) * rng.uniform(0.8, 1.2)
            ball.data.color_attributes["tint"].data.foreach_set("color", np.tile(shade, len(ball.data.vertices)))
    for x, y, radius, high in ((0.32, 3.75, 0.2, 0.36), (-1.22, 3.8, 0.17, 0.32), (2.15, 3.6, 0.24, 0.42)):
        _pot(clay, x, y, radius, high, PAVEMENT)
        bush = shapes.points_in_ellipsoid((x, y, PAVEMENT + high + 0.26), (0.28, 0.26, 0.34), 520, rng)
        shapes.leaves("bush", bush, 0.055, rng, green)
    barrel = [(0.0, 0.0), (0.24, 0), (0.29, 0.2), (0.305, 0.38), (0.29, 0.56), (0.24, 0.76), (0.22, 0.76), (0.21, 0.7), (0, 0.7)]
    shapes.lathe("barrel", barrel, wood, (1.45, 3.7, PAVEMENT))
    for z, radius in ((0.1, 0.272), (0.24, 0.301), (0.52, 0.301), (0.66, 0.272)):
        shapes.lathe("hoop", [(radius, -0.025), (radius + 0.005, 0), (radius, 0.025)], iron, (1.45, 3.7, PAVEMENT + z))
    _window_box(rng, wood, green, -3.0, 0.98, 1.4)
    _window_box(rng, wood, green, 1.47, 1.07, 0.95)
    _ivy(rng, green)
    moss = np.stack([rng.uniform(-8, 8, 900), KERB - 0.1 - np.abs(rng.normal(0, 0.03, 900)),
                     rng.uniform(-0.01, 0.04, 900)], axis=1)
    shapes.leaves("weeds", moss[np.sin(moss[:, 0] * 2.3) + np.sin(moss[:, 0] * 5.1) > 0.5], 0.035, rng, green)
    _fallen_leaves(rng)


def _window_box(rng, wood, green, x, z, wide):
    petals = surface("petals", (0.62, 0.06, 0.10), roughness=0.6, bump=0.0)
    shapes.box("window box", (x, HOUSE_FRONT - 0.12, z + 0.09), (wide, 0.2, 0.17), wood)
    for name, material, count, size in (("box leaves", green, 700, 0.045), ("box flowers", petals, 130, 0.032)):
        cloud = shapes.points_in_ellipsoid((x, HOUSE_FRONT - 0.15, z + 0.22), (wide * 0.5, 0.13, 0.14), count, rng)
        shapes.leaves(name, cloud, size, rng, material)


def _ivy(rng, green):
    """Ivy on the corner by the alley: thick in the middle, ragged at the rim."""
    count = 5200
    x = HOUSE_END + 0.05 - np.abs(rng.normal(0, 0.34, count))
    z = rng.uniform(1.9, 6.0, count)
    ragged = 0.25 * np.sin(5 * x + 1.3) + 0.3 * np.sin(3.1 * x + 7.7 * z) + 0.2 * np.sin(9 * z)
    kept = z > 2.55 + ragged
    points = np.stack([x, HOUSE_FRONT - rng.uniform(0.03, 0.12, count), z], axis=1)[kept]
    shapes.leaves("ivy", points, 0.062, rng, green, facing=(0, -1, 0.3))


def _fallen_leaves(rng):
    brown = surface("dead leaf", (0.36, 0.17, 0.05), roughness=0.8, bump=0.1)
    spots = np.stack([rng.uniform(-5.5, 6, 130), rng.uniform(-2.5, 4.0, 130), np.zeros(130)], axis=1)
    spots[:, 2] = np.where(spots[:, 1] > KERB, PAVEMENT, -0.0016 * (spots[:, 1] + 0.5) ** 2) + 0.012
    shapes.leaves("fallen leaves", spots, 0.05, rng, brown, facing=(0, 0, 2))


def _lamp_post(iron, x, y):
    shapes.lathe("lamp post", [(0.12, 0), (0.12, 0.10), (0.085, 0.15), (0.075, 0.42), (0.055, 0.48), (0.065, 0.52),
                               (0.038, 0.58), (0.034, 2.2), (0.052, 2.24), (0.032, 2.3), (0.03, 4.0)],
                 iron, (x, y, -0.01))


def _foreground(rng, iron, stone, green):
    _lamp_post(iron, 0.62, -1.55)
    for x in (-2.55, 2.75):
        shapes.lathe("bollard", [(0.09, 0), (0.09, 0.08), (0.06, 0.12), (0.05, 0.56), (0.07, 0.6), (0.07, 0.64),
                                 (0.045, 0.67), (0.06, 0.73), (0.03, 0.8), (0, 0.81)], iron, (x, -1.7, -0.01))
    tub = surface("stone tub", (0.30, 0.28, 0.25), roughness=0.9, bump=0.6)
    _pot(tub, -2.08, -3.1, 0.3, 0.34, 0.0)
    bush = shapes.points_in_ellipsoid((-2.08, -3.1, 0.54), (0.4, 0.38, 0.32), 1200, rng)
    shapes.leaves("tub bush", bush, 0.06, rng, green)


def _shade_trees(rng, green):
    """Crowns outside the picture, towards the sun, that dapple wall and road."""
    for centre, radii, count in (((-9.3, 2.0, 8.2), (2.2, 1.8, 2.0), 1300), ((-6.4, -4.4, 6.4), (1.7, 1.3, 1.5), 900)):
        shapes.leaves("shade crown", shapes.points_in_ellipsoid(centre, radii, count, rng), 0.2, rng, green)
