"""``ds.pl``: the public functions as methods of a Dataset, one line each."""

from __future__ import annotations

from typing import Any

import xarray as xr

__all__ = ["PlAccessor"]


@xr.register_dataset_accessor("pl")  # type: ignore[no-untyped-call]
class PlAccessor:
    """plkit's functions on a Dataset: ``ds.pl.unmix(refs).pl.fit_kinetics()``.

    Parameters
    ----------
    dataset : xarray.Dataset
        A measured dataset or a result.
    """

    def __init__(self, dataset: xr.Dataset) -> None:
        self._ds = dataset

    def __getattr__(self, name: str) -> Any:
        """Bind the public function ``name`` to this dataset as its first argument."""
        import functools

        import plkit

        if name in _TAKES_DATASET:
            return functools.partial(getattr(plkit, name), self._ds)
        if name in _corrections():
            return functools.partial(getattr(plkit.spectra, name), self._ds)
        raise AttributeError(f"'ds.pl' has no method {name!r}; it has {', '.join(self.__dir__())}")

    def __dir__(self) -> list[str]:
        """List what can be called."""
        return sorted({*_TAKES_DATASET, *_corrections()})


def _corrections() -> list[str]:
    """Functions on spectra; what is in capitals is a table."""
    from plkit import spectra

    return [name for name in spectra.__all__ if name.islower()]


_TAKES_DATASET = (
    "validate", "conform", "write", "fit_peaks", "unmix", "fit_kinetics", "fit_lifetimes", "verdict", "fit_arrhenius",
    "fit_fick_profile", "fit_diffusion_temperature", "composition_map",
)  # fmt: skip
