"""The paper's tables 1 to 6: which methods each compares."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..errors import BadParameter, MissingWeights
from ..flow import ESTIMATORS
from .bench import Bench, Method
from .runs import deepfill_shape, mining
from .weight_choice import DFC_ROLES, Weights, dfc_net, dfc_shape, installed

TABLES = {
    1: "Table 1: finished pictures",
    2: "Table 2: image inpainting that sees several frames",
    3: "Table 3: hard flow example mining",
    4: "Table 4: flow completion",
    5: "Table 5: with and without propagation",
    6: "Table 6: the initial flow",
}
_SHAPES = {"stages": "DFC-Net", "single": "DFC-Single", "plain": "DFC-Net without multi-scale"}
#: The paper's rows, which are listed although there may be no weights for them.
_ROWS_3 = ("without mining", "p = 70", "p = 50", "p = 30", "p = 10")
_ROWS_4 = ("Region-Fill", "In layers", "Stage-1", "Stage-2", "DFC-Single", "DFC-Net without multi-scale", "DFC-Net")
_STAGE_DIGITS = ("Stage-1", "Stage-2", "DFC-Net")


@dataclass(frozen=True)
class Choices:
    """What a table compares.

    given   weights to compare; what none of them is for, the installed ones are for
    device  auto, cpu or gpu
    flow    what the true flow of footage is taken from in tables of flow: dis or flownet2
    seen    true or estimated, see `completing.CompletionBench`
    seed    of the random shapes
    exact   whether the clips' flow is known: table 6 then compares flows and not pictures
    """

    given: Sequence[Weights] = ()
    device: str = "auto"
    flow: str = "dis"
    seen: str = "true"
    seed: int = 1
    exact: bool = False


def bench_of(number: int, choices: Choices) -> Bench:
    """What measures a table. Raises `BadParameter` for weights that it has no use for, `MissingWeights`."""
    if number == 6 and choices.exact:
        bench = _estimators(choices)
    else:
        bench = {1: _table_1, 2: _table_2, 3: _table_3, 4: _table_4, 5: _table_5, 6: _table_6}[number](choices)
    names = [row for method in bench.methods for row in method.rows if row is not None]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise BadParameter(f"Two rows of the table would be called '{twice}': give the weights labels of their own, --weights LABEL=NAME.")
    return bench


def rank(row: str) -> int:
    """The place of a row among those of table 4, the first for any other."""
    fitting = [place for place, name in enumerate(_ROWS_4) if row.startswith(name)]
    return max(fitting, key=lambda place: len(_ROWS_4[place]), default=0)


# --- which weights ---


class _Pool:
    """Those that were given, and for what none was given, those that are installed."""

    def __init__(self, choices: Choices, *roles: str, runs: str = ""):
        self._given = choices.given
        for chosen in choices.given:
            if chosen.run is not None and not runs:
                raise BadParameter(f"{chosen.run} is a run: flow-inpaint export {chosen.run} first, and give the folder that it writes.")
            if chosen.run is None:
                useful = chosen.of(*roles) is not None
            else:
                useful = (dfc_shape(chosen) if runs == "dfc" else deepfill_shape(chosen.run)) is not None
            if not useful:
                raise BadParameter(f"The weights '{chosen.label}' are for something that this table does not compare.")
            if chosen.run is None and chosen.of(*DFC_ROLES[1:3]) and not chosen.of(DFC_ROLES[0]):
                raise BadParameter(f"The weights '{chosen.label}' are of a later stage: join them to the first one's, FIRST+SECOND+THIRD.")

    @property
    def runs(self) -> list[Weights]:
        return [chosen for chosen in self._given if chosen.run is not None]

    def flows(self) -> list[Weights | None]:
        return self._of("flownet2")

    def fills(self) -> list[Weights | None]:
        return self._of("deepfill")

    def nets(self) -> list[Weights]:
        """Flow completion networks; runs among them."""
        several, single = DFC_ROLES[:3], DFC_ROLES[3]
        found: list[Weights | None] = []
        for chosen in self._given:
            found += [chosen] if chosen.run is not None else [chosen.of(*several), chosen.of(single)]
        return [one for one in found if one] or [one for one in (installed(*several), installed(single)) if one and dfc_shape(one)]

    def _of(self, role: str) -> list[Weights | None]:
        return [part for chosen in self._given if (part := chosen.of(role))] or [installed(role)]


# --- tables of pictures ---


def _table_1(choices: Choices) -> Bench:
    from .inpainting import InpaintingBench, alone

    pool = _Pool(choices, "flownet2", *DFC_ROLES)
    methods = [alone("telea", None, choices.device)]
    for name, flows in (("dis", [None]), ("flownet2", pool.flows())):
        for flow in flows:
            methods.append(_propagated(choices, flow=(name, flow)))
            methods += [_propagated(choices, flow=(name, flow), completion=("dfc", net)) for net in pool.nets() or [None]]
    return InpaintingBench(methods, choices.seed)


def _table_2(choices: Choices) -> Bench:
    from .inpainting import InpaintingBench, alone, learnt

    pool = _Pool(choices, "deepfill", runs="deepfill")
    methods = [alone("deepfill", fill, choices.device) for fill in pool.fills()]
    several = {"DeepFill with several frames": False, "DeepFill with several frames, stacked": False}
    for chosen in pool.runs:
        frames, stacked = deepfill_shape(chosen.run)
        name = "DeepFill with several frames" + (", stacked" if stacked > 1 else "") if frames else "DeepFill, each frame alone"
        several[name] = True
        label = f"{name} ({chosen.label})" if chosen.named else f"{name} ({frames} frames, {stacked} in a row)"
        methods.append(learnt(label, chosen, frames, choices.device))
    methods += [Method((name,)) for name, there in several.items() if not there]
    return InpaintingBench([*methods, _propagated(choices)], choices.seed)


def _table_5(choices: Choices) -> Bench:
    from .inpainting import InpaintingBench, alone

    pool = _Pool(choices, "deepfill", *DFC_ROLES)
    methods = [alone("exemplar", None, choices.device), *(alone("deepfill", fill, choices.device) for fill in pool.fills())]
    for name, fills in (("exemplar", [None]), ("deepfill", pool.fills())):
        for fill in fills:
            methods.append(_propagated(choices, fill=(name, fill)))
            methods += [_propagated(choices, completion=("dfc", net), fill=(name, fill)) for net in pool.nets() or [None]]
    return InpaintingBench(methods, choices.seed)


def _table_6(choices: Choices) -> Bench:
    from .inpainting import InpaintingBench

    pool = _Pool(choices, "flownet2")
    return InpaintingBench([_propagated(choices), *(_propagated(choices, flow=("flownet2", flow)) for flow in pool.flows())], choices.seed)


_Stage = tuple[str, Weights | None]


def _propagated(
    choices: Choices, flow: _Stage = ("dis", None), completion: _Stage = ("layers", None), fill: _Stage = ("exemplar", None)
) -> Method:
    from .inpainting import propagated

    wanted = {"flow": flow[0], "completion": completion[0], "fill": fill[0]}
    return propagated(flow[1], completion[1], fill[1], choices.device, wanted=wanted)


# --- tables of flow ---


def _table_3(choices: Choices) -> Bench:
    from .completing import network, region_fill

    pool, methods = _Pool(choices, *_true(choices), *DFC_ROLES, runs="dfc"), [region_fill()]
    for chosen in pool.nets():
        _, stages = dfc_shape(chosen) or ("", 1)
        label = chosen.label or "DFC-Net as installed"
        if chosen.run is not None and not chosen.named:
            label = mining(chosen.run) or label
        methods.append(network((*[None] * (stages - 1), label), _maker(chosen), chosen.identity, choices.device))
    there = [row for method in methods for row in method.rows]
    return _completion(choices, pool, [*methods, *(Method((name,)) for name in _ROWS_3 if name not in there)], shares=True)


def _table_4(choices: Choices) -> Bench:
    from .completing import in_layers, network, region_fill

    pool, methods = _Pool(choices, *_true(choices), *DFC_ROLES, runs="dfc"), [region_fill(), in_layers()]
    for chosen in pool.nets():
        shape, stages = dfc_shape(chosen) or ("", 1)
        last = _STAGE_DIGITS[stages - 1] if shape == "stages" else _SHAPES[shape]
        own = f" ({chosen.label})" if chosen.label else ""
        early = [name + own if shape == "stages" else None for name in _STAGE_DIGITS[: stages - 1]]
        methods.append(network((*early, last + own), _maker(chosen), chosen.identity, choices.device))
    ranks = {rank(row) for method in methods for row in method.rows if row is not None}
    missing = [Method((name,)) for place, name in enumerate(_ROWS_4) if place not in ranks]
    return _completion(choices, pool, [*methods, *missing], shares=False)


def _true(choices: Choices) -> list[str]:
    """The role of weights that the true flow is measured with."""
    return ["flownet2"] if choices.flow == "flownet2" else []


def _completion(choices: Choices, pool: _Pool, methods: Sequence[Method], *, shares: bool) -> Bench:
    from .completing import CompletionBench

    flow = pool.flows()[0] if choices.flow == "flownet2" else None
    if choices.flow == "flownet2" and flow is None:
        raise MissingWeights("--flow cannot be 'flownet2', because there are no weights for it: give some with --weights, or choose dis.")
    estimator = ESTIMATORS[choices.flow].make((flow or Weights("")).machine(choices.device))
    named = [choices.flow, flow.identity if flow else []]
    return CompletionBench(methods, choices.seed, estimator=estimator, named=named, seen=choices.seen, shares=shares)


def _maker(chosen: Weights) -> Callable[[], object]:
    return lambda: dfc_net(chosen)


def _estimators(choices: Choices) -> Bench:
    from .estimating import EstimationBench, estimator

    pool = _Pool(choices, "flownet2")
    networks = [estimator("flownet2", flow, choices.device) for flow in pool.flows()]
    return EstimationBench([estimator("dis", None, choices.device), *networks])
