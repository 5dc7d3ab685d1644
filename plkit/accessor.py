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
        from plkit import spectra

        if name in _TAKES_DATASET:
            return functools.partial(getattr(plkit, name), self._ds)
        if name in getattr(spectra, "__all__", ()):
            return functools.partial(getattr(spectra, name), self._ds)
        raise AttributeError(f"'ds.pl' has no method {name!r}; it has {', '.join(self.__dir__())}")

    def __dir__(self) -> list[str]:
        """List what can be called."""
        from plkit import spectra

        return sorted({*_TAKES_DATASET, *getattr(spectra, "__all__", ())})


_TAKES_DATASET = (
    "validate", "conform", "write", "fit_peaks", "unmix", "fit_kinetics", "fit_lifetimes", "verdict", "fit_arrhenius",
    "fit_fick_profile", "fit_diffusion_temperature", "composition_map",
)  # fmt: skip
