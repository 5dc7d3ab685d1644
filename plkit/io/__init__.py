"""Files: one module per format, one contract for all.

The contract of a reader
------------------------
A reader is a function ``read_<format>(path, **options) -> xarray.Dataset`` and an entry
:class:`~plkit.io.registry.Reader` in :func:`~plkit.io.registry.readers`. What :func:`read` returns:

- *Dims and coordinates* are those of :mod:`plkit.names`: one spectral dim, last; then canonical order;
  every axis ascends and has a unit. A single spectrum has no ``time``; a list of positions has the dim
  ``point``. ``time`` is the middle of the exposure in seconds, counted from the start of the first one.
  A decay trace has no spectral dim but ``delay``, from the start of the record, not from the pulse.
- *Variables*: ``intensity`` in counts, in the number type of the file (integers stay integers), or
  another measured quantity under its own name; ``exposure_time`` in seconds where the file says it.
- *Attributes*: ``instrument``, ``source_file`` (its name), ``source_sha256``, ``reader``, ``history``;
  the vendor's settings as one JSON (or the vendor's XML) string, ``metadata``.
- *Nothing is guessed.* What neither the file nor an option says is asked for by an error that shows the
  option. Numbers in counts per second or arbitrary units are kept, with a :class:`~plkit.errors.PlkitWarning`.
- *Ragged and interrupted acquisitions*: what is missing is NaN, never zero, with a PlkitWarning that counts it.
- A file that opens has no fault of severity *error* in :func:`plkit.validate`; one that does not open
  raises one :class:`~plkit.errors.FileFormatError` in one sentence.

Out of scope: correcting, calibrating or averaging what the instrument wrote; detector images without a
spectral axis or a delay; guessing units.

Writers put a dataset into netCDF-4, Zarr or CSV through a temporary file, so that a file appears whole or
not at all, and never replace one unless told.
"""

from plkit.io.fileinfo import FileInfo, info
from plkit.io.hyperspy import from_hyperspy, to_hyperspy
from plkit.io.reading import read
from plkit.io.registry import Reader, detect, readers
from plkit.io.writing import convert, write

__all__ = [
    "FileInfo",
    "Reader",
    "convert",
    "detect",
    "from_hyperspy",
    "info",
    "read",
    "readers",
    "to_hyperspy",
    "write",
]
