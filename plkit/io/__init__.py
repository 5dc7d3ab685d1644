"""Files: one module per format, one contract for all.

The contract of a reader
------------------------
A reader is a function ``read_<format>(path, **options) -> xarray.Dataset`` and an entry
:class:`~plkit.io.registry.Reader` in :func:`~plkit.io.registry.readers`; every option is a keyword that the
entry names. A vendor's library is imported inside the function; the entry names the extra that brings it. What
:func:`read` returns:

- *Dims and coordinates* are those of :mod:`plkit.names`: one spectral dim, last; before it the canonical order;
  every axis ascends and has a unit. A single spectrum has no ``time``. ``time`` is the middle of the exposure in
  seconds, counted from the start of the first one. A decay has no spectral dim but ``delay``, from the start of
  the record, not from the pulse; positions stand behind it: (delay, point), (delay, y, x). A streak picture is
  (delay, wavelength).
- *Maps* are (y, x, spectral). A list of positions that lie on a grid becomes that grid; one that does not is kept
  over ``point``, with the coordinates ``x`` and ``y`` (point). ``points="list"`` keeps the list,
  ``points="grid"`` demands the grid, ``tolerance_um`` says how far positions of one line may scatter. Curves that
  have names are over ``point``, with the names as the coordinate ``sample`` (point).
- *Variables*: ``intensity`` in counts, in the number type of the file (integers stay integers), or
  another measured quantity under its own name; ``exposure_time`` in seconds where the file says it;
  ``noise_gain`` 1 where counts are photons.
- *Attributes*: ``instrument`` where the format or the file says it, ``source_file`` (its name),
  ``source_sha256``, ``reader``, ``history``; the vendor's settings as one JSON (or the vendor's XML) string,
  ``metadata``.
- *Nothing is guessed.* What neither the file nor an option says is asked for by an error that shows the
  option. Numbers in counts per second or arbitrary units are kept, with a :class:`~plkit.errors.PlkitWarning`.
- *Ragged and interrupted acquisitions*: what is missing is NaN, never zero, with a PlkitWarning that counts it.
  Where the file does not say how much is missing, what is there is given.
- A file that opens has no fault of severity *error* in :func:`plkit.validate`; one that does not open
  raises one :class:`~plkit.errors.FileFormatError` in one sentence; nothing else escapes, and nothing is written.
- *Files are not trusted*: sizes that a header announces are checked against the file before memory is asked for,
  and :mod:`~plkit.io.guard` refuses entities in XML, links out of HDF5, pickles, and archives that lead out of
  themselves, before a vendor's library sees the file.

Out of scope: correcting, calibrating or averaging what the instrument wrote; detector images without a
spectral axis or a delay; guessing units.

The test of the contract (``tests/test_io_contract.py``) runs over the registry: a reader without an example fails.

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
