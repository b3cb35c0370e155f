"""Families of generative models of points, each a module held to the protocol `Family`."""

from collections.abc import Mapping

from sfumato.runs.families import diffusion, flow, flow_matching, gan, mixture, vae
from sfumato.runs.families.family import Budget, Clock, Family, Fitted, Frame, Steps

FAMILIES: Mapping[str, Family] = {
    "gan": gan,
    "vae": vae,
    "flow": flow,
    "flow-matching": flow_matching,
    "diffusion": diffusion,
    "mixture": mixture,
}

__all__ = ["FAMILIES", "Budget", "Clock", "Family", "Fitted", "Frame", "Steps"]
