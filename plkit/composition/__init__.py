"""Maps of the iodine content from emission energies."""

from plkit.composition.mapping import CompositionFlag, composition_map
from plkit.physics.calibration import Calibration

__all__ = ["Calibration", "CompositionFlag", "composition_map"]
