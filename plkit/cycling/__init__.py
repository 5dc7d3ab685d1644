"""Measured series under periodic heating: heater log, events, completion times, drift, stability."""

from plkit.cycling.align import align_on_events
from plkit.cycling.completion import completion_energy, completion_time
from plkit.cycling.log import heater_events, read_temperature_log
from plkit.cycling.stability import (
    StabilityThresholds,
    StabilityVerdict,
    drift_per_hour,
    stability_verdict,
)

__all__ = [
    "StabilityThresholds",
    "StabilityVerdict",
    "align_on_events",
    "completion_energy",
    "completion_time",
    "drift_per_hour",
    "heater_events",
    "read_temperature_log",
    "stability_verdict",
]
