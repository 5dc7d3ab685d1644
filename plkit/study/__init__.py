"""The only room that knows the whole way: recipe → results, report, reproduction table."""

from __future__ import annotations

from plkit.study.plan import PlanResult, plan_study
from plkit.study.recipe import Recipe, load_recipe
from plkit.study.reproduction import Reproduction, reproduce
from plkit.study.run import open_results, run_study

__all__ = [
    "PlanResult",
    "Recipe",
    "Reproduction",
    "load_recipe",
    "open_results",
    "plan_study",
    "reproduce",
    "run_study",
]
