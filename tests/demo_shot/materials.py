# SPDX-License-Identifier: GPL-3.0-or-later
"""Procedural materials of the demo shot (no image files)."""

import bpy


class _Graph:
    """Short spelling for the few node kinds the materials need."""

    def __init__(self, tree):
        self.tree = tree

    def node(self, kind, **inputs):
        made = self.tree.nodes.new(kind)
        for name, value in inputs.items():
            self.feed(made.inputs[name.replace("_", " ")], value)
        return made

    def feed(self, socket, value):
        if isinstance(value, bpy.types.NodeSocket):
            self.tree.links.new(value, socket)
        else:
            socket.default_value = value

    def noise(self, coordinates, scale, detail=1.0):
        made = self.node("ShaderNodeTexNoise", Vector=coordinates, Scale=scale, Detail=detail)
        return made.outputs[0]

    def remap(self, value, low, high):
        """A 0..1 value (noise lives around 0.3..0.7) stretched to low..high."""
        made = self.node("ShaderNodeMapRange")
        made.clamp = True
        for socket, number in zip(made.inputs, (value, 0.3, 0.7, low, high)):
            self.feed(socket, number)
        return made.outputs[0]

    def mix(self, factor, a, b, blend="MIX"):
        made = self.tree.nodes.new("ShaderNodeMix")
        made.data_type, made.blend_type = "RGBA", blend
        self.feed(made.inputs[0], factor)
        self.feed(made.inputs[6], a)
        self.feed(made.inputs[7], b)
        return made.outputs[2]


def _empty_material(name):
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    material.node_tree.nodes.clear()
    return material, _Graph(material.node_tree)


def _finish(graph, shader):
    output = graph.tree.nodes.new("ShaderNodeOutputMaterial")
    graph.tree.links.new(shader, output.inputs["Surface"])


def surface(name, colour, roughness=0.75, stain=0.35, stain_scale=1.6, fleck=0.25, fleck_scale=28.0,
            bump=0.25, bump_scale=45.0, metallic=0.0, coat=0.0, grime_height=0.0):
    """A weathered surface: broad stains, fine flecks, bump and dirt near the ground.

    Coordinates are the object's own, so that the pattern travels with the car
    and stays put on the set.
    """
    material, graph = _empty_material(name)
    place = graph.node("ShaderNodeTexCoord").outputs["Object"]
    tint = graph.node("ShaderNodeAttribute")
    tint.attribute_name = "tint"
    shade = graph.mix(1.0, (*colour, 1.0), tint.outputs["Color"], "MULTIPLY")
    blotches = graph.noise(place, stain_scale, 3.0)
    stains = graph.remap(blotches, 1.0 - stain, 1.0 + stain * 0.5)
    shade = graph.mix(1.0, shade, stains, "MULTIPLY")
    flecks = graph.remap(graph.noise(place, fleck_scale), 1.0 - fleck, 1.0 + fleck)
    shade = graph.mix(1.0, shade, flecks, "MULTIPLY")
    if grime_height:
        shade = graph.mix(_grime(graph, place, grime_height), shade, (0.035, 0.032, 0.026, 1.0))
    relief = graph.node("ShaderNodeBump", Strength=bump, Distance=0.02,
                        Height=graph.noise(place, bump_scale))
    gloss = graph.remap(blotches, roughness * 0.8, min(1.0, roughness * 1.2))
    skin = graph.node("ShaderNodeBsdfPrincipled", Base_Color=shade, Roughness=gloss,
                      Metallic=metallic, Coat_Weight=coat, Normal=relief.outputs[0])
    _finish(graph, skin.outputs[0])
    return material


def _grime(graph, place, height):
    """How dirty a wall is: full at its foot, gone at `height`, with a ragged edge."""
    up = graph.node("ShaderNodeSeparateXYZ", Vector=place).outputs["Z"]
    ragged = graph.node("ShaderNodeMath")
    ragged.operation = "MULTIPLY_ADD"
    for socket, value in zip(ragged.inputs, (graph.noise(place, 3.5, 2.0), height * 1.2, up)):
        graph.feed(socket, value)
    fade = graph.node("ShaderNodeMapRange")
    for socket, value in zip(fade.inputs, (ragged.outputs[0], height * 0.5, height * 1.5, 0.6, 0.0)):
        graph.feed(socket, value)
    return fade.outputs[0]


def foliage(name, colour):
    """Leaves that let some of the sun through."""
    material, graph = _empty_material(name)
    tint = graph.node("ShaderNodeAttribute")
    tint.attribute_name = "tint"
    shade = graph.mix(1.0, (*colour, 1.0), tint.outputs["Color"], "MULTIPLY")
    front = graph.node("ShaderNodeBsdfPrincipled", Base_Color=shade, Roughness=0.5)
    through = graph.node("ShaderNodeBsdfTranslucent", Color=shade)
    both = graph.tree.nodes.new("ShaderNodeMixShader")
    for socket, value in zip(both.inputs, (0.3, front.outputs[0], through.outputs[0])):
        graph.feed(socket, value)
    _finish(graph, both.outputs[0])
    return material


def lamp_glow(name, colour, strength):
    material, graph = _empty_material(name)
    _finish(graph, graph.node("ShaderNodeEmission", Color=(*colour, 1.0), Strength=strength).outputs[0])
    return material


def index_as_brightness(name):
    """Emission equal to the object's pass index: white for the car, black for the set."""
    material, graph = _empty_material(name)
    index = graph.node("ShaderNodeObjectInfo").outputs["Object Index"]
    _finish(graph, graph.node("ShaderNodeEmission", Color=(1, 1, 1, 1), Strength=index).outputs[0])
    return material


def hazy_sky(world, strength):
    """Pale horizon, blue zenith, thin cloud: cheaper to sample than a sky model."""
    world.use_nodes = True
    graph = _Graph(world.node_tree)
    graph.tree.nodes.clear()
    place = graph.node("ShaderNodeTexCoord").outputs["Generated"]
    up = graph.node("ShaderNodeSeparateXYZ", Vector=place).outputs["Z"]
    height = graph.node("ShaderNodeMapRange")
    for socket, value in zip(height.inputs, (up, 0.0, 0.7, 0.0, 1.0)):
        graph.feed(socket, value)
    blue = graph.mix(height.outputs[0], (0.72, 0.80, 0.90, 1.0), (0.20, 0.38, 0.72, 1.0))
    cloud = graph.remap(graph.noise(place, 2.6, 3.0), 0.0, 0.75)
    shade = graph.mix(cloud, blue, (0.95, 0.95, 0.97, 1.0))
    background = graph.node("ShaderNodeBackground", Color=shade, Strength=strength)
    output = graph.tree.nodes.new("ShaderNodeOutputWorld")
    graph.tree.links.new(background.outputs[0], output.inputs["Surface"])
