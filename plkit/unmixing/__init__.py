"""Unmixing: measured spectra as sums of reference spectra, with σ."""

from plkit.unmixing.block import Design, unmix_block
from plkit.unmixing.line_shape import LineShape
from plkit.unmixing.linear import unmix
from plkit.unmixing.reference import references

__all__ = ["Design", "LineShape", "references", "unmix", "unmix_block"]
