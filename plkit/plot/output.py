"""Writing figures so that the same figure gives the same bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from plkit.errors import DataError
from plkit.plot.style import rc

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["save_figure"]


@contextmanager
def _layout_held(figure: Figure) -> Iterator[None]:
    """Lay the figure out once, keep it so for every file, and give its state back.

    A constrained layout starts from where the last one ended: without this a second file would
    differ from the first in the last digits.
    """
    engine = figure.get_layout_engine()
    before = [
        (
            ax,
            ax.get_position(original=True).frozen(),
            ax.get_position().frozen(),
            ax.get_in_layout(),
        )
        for ax in figure.axes
    ]
    figure.draw_without_rendering()
    # None, not "none": with an engine, even one that does nothing, every file is drawn twice.
    figure.set_layout_engine(None)
    try:
        yield
    finally:
        figure.set_layout_engine(engine)
        for ax, original, active, in_layout in before:
            ax.set_position(original, which="original")
            ax.set_position(active, which="active")
            ax.set_in_layout(in_layout)  # set_position takes an axes out of the layout


def save_figure(
    figure: Figure, stem: str | Path, *, identifier: str = "", dpi: int = 300
) -> dict[str, Path]:
    """Write a figure as SVG and PNG, byte for byte the same in every run.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        From any ``plot_*`` function.
    stem : str or path-like
        Path without suffix; missing folders are made.
    identifier : str, optional
        Written into both files, for instance the id of the study's provenance.
    dpi : int, optional
        Resolution of the PNG, and of maps inside the SVG.

    Returns
    -------
    dict
        ``"svg"`` and ``"png"`` → path.

    Raises
    ------
    DataError
        If the folder cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from plkit.plot.style import new_figure
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = save_figure(new_figure(), f"{folder}/empty")
    ...     sorted(p.name for p in files.values())
    ['empty.png', 'empty.svg']
    """
    import matplotlib as mpl

    stem = Path(stem)
    # Not with_suffix: a stem such as "x1.0_map" holds a point of its own.
    files = {kind: stem.with_name(f"{stem.name}.{kind}") for kind in ("svg", "png")}
    svg = {"Date": None, "Creator": "plkit", "Identifier": identifier or None}
    png = {"Software": "plkit", **({"Identifier": identifier} if identifier else {})}
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
        with mpl.rc_context({**rc(), "svg.hashsalt": "plkit"}), _layout_held(figure):
            figure.savefig(files["svg"], metadata=svg, dpi=dpi)
            figure.savefig(files["png"], metadata=png, dpi=dpi)
    except OSError as error:
        raise DataError(
            f"save the figure {stem.name}",
            f"{stem.parent} is not a folder that can be written ({error.strerror})",
            "Choose another folder.",
        ) from error
    return files
