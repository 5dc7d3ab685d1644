"""What a user of ``plkit view`` waits for: address, first view, tap → spectrum, slider → map.

python -m tests.benchmarks.page                    # a map of 200 × 200 × 512 × 4 frames, in memory
python -m tests.benchmarks.page --stored 100       # as many frames in a Zarr store, 4 GB, read as needed

Wall times are medians in a headless Chromium, CPU times those of the server. The load of the machine and
its noise (the same sum again and again) are told with them: on a busy machine the CPU times count.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import plkit
from plkit import names

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip

# From the event to the second animation frame after the data came: then it is painted.
WATCH = """(name) => {
  const model = [...Bokeh.documents[0]._all_models.values()].find((m) => m.name === name);
  window.painted = [];
  model.properties.data.change.connect(() => {
    const asked = window.asked;
    requestAnimationFrame(() => requestAnimationFrame(() => window.painted.push(performance.now() - asked)));
  });
}"""
PLACE = """(name) => {
  const model = [...Bokeh.documents[0]._all_models.values()].find((m) => m.name === name);
  const view = Bokeh.index.find_one(model); const r = view.el.getBoundingClientRect();
  const b = view.frame.bbox; return [r.left + b.left, r.top + b.top, b.width, b.height];
}"""
SLIDE = """(n) => {
  const model = [...Bokeh.documents[0]._all_models.values()].find((m) => m.name === 'frame_time');
  window.asked = performance.now(); model.value = n;
}"""


def cube(frames: int, side: int = 200, channels: int = 512) -> xr.Dataset:
    """Counts (time, y, x, wavelength), uint16; a band that moves with the place."""
    rng = np.random.default_rng(7)
    w = np.linspace(450.0, 750.0, channels)
    y, x = np.mgrid[:side, :side] / side
    line = np.exp(-0.5 * ((w - 600.0 - 20.0 * x[..., None]) / 12.0) ** 2)
    expected = (400.0 * (0.5 + y[..., None]) * line + 5.0).astype(np.float32)
    one = rng.poisson(expected).astype(np.uint16)
    if frames > 8:
        import dask.array as da

        values: Any = da.stack(
            [da.from_array(one, chunks=one.shape) + np.uint16(i % 7) for i in range(frames)]
        )
    else:
        values = np.stack([one + np.uint16(i) for i in range(frames)])
    ds = xr.Dataset(
        {"intensity": (("time", "y", "x", "wavelength"), values, names.attrs("intensity"))}
    )
    axes = {
        "time": np.arange(frames) * 1.0,
        "y": np.arange(side) * 0.1,
        "x": np.arange(side) * 0.1,
        "wavelength": w,
    }
    ds["noise_gain"] = xr.DataArray(1.0, attrs=names.attrs("noise_gain"))
    return ds.assign_coords({n: (n, v, names.attrs(n)) for n, v in axes.items()})


def cpu_of(pid: int) -> float:
    """CPU time of a process so far [s]."""
    parts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


def noise() -> tuple[float, float]:
    """Median time of the same sum [ms], and how much its slowest tenth is slower."""
    values = np.random.default_rng(1).random(2_000_000)
    times = []
    for _ in range(60):
        start = time.perf_counter()
        values.sum()
        times.append(1e3 * (time.perf_counter() - start))
    middle = float(np.median(times))
    return middle, float(np.percentile(times, 90)) / middle


def measure(path: Path, repeats: int) -> dict[str, float]:
    """Serve the file, open the page, tap and slide."""
    from playwright.sync_api import sync_playwright

    found: dict[str, float] = {}
    start = time.perf_counter()
    command = [sys.executable, "-m", "plkit", "view", str(path), "--no-browser"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        address = server.stdout.readline().split()[0]
        found["command → address (s)"] = time.perf_counter() - start
        found["its CPU (s)"] = cpu_of(server.pid)
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        with sync_playwright() as play:
            browser = play.chromium.launch(executable_path=chromium, args=list(FLAGS))
            page = browser.new_page(viewport={"width": 1400, "height": 1000})
            for name in ("address → first view (s)", "later views (s)"):
                before, start = cpu_of(server.pid), time.perf_counter()
                page.goto(address, wait_until="commit")
                page.wait_for_function(
                    "window.plkit_ready && Bokeh.documents[0].is_idle && "
                    "[...Bokeh.documents[0]._all_models.values()].find((m) => m.name === 'map_image').data.image.length"
                )
                found[name] = time.perf_counter() - start
                found[f"CPU of the server, {name[:-4]} (s)"] = cpu_of(server.pid) - before
            page.wait_for_timeout(1500)
            found |= _taps(page, server.pid, repeats)
            found |= _slides(page, server.pid, repeats)
            browser.close()
    finally:
        server.terminate()
        server.wait(20)
    return found


def _taps(page: Any, pid: int, repeats: int) -> dict[str, float]:
    page.evaluate(WATCH, "spectrum_here")
    page.evaluate(
        "window.addEventListener('pointerup', () => { window.asked = performance.now(); }, true)"
    )
    left, top, width, height = page.evaluate(PLACE, "map")
    rng = np.random.default_rng(11)
    before = cpu_of(pid)
    for n in range(repeats):
        fx, fy = rng.uniform(0.15, 0.85, 2)
        page.mouse.click(left + fx * width, top + fy * height)
        page.wait_for_function(f"window.painted.length > {n}", timeout=60_000)
        page.wait_for_timeout(350)  # a second tap within that time would be a double tap
    used = 1e3 * (cpu_of(pid) - before) / repeats
    times = np.asarray(page.evaluate("window.painted"))[2:repeats]
    return {
        "tap → spectrum (ms)": float(np.median(times)),
        "its fastest tenth (ms)": float(np.percentile(times, 10)),
        "its slowest tenth (ms)": float(np.percentile(times, 90)),
        "CPU of the server per tap, with all that follows (ms)": used,
    }


def _slides(page: Any, pid: int, repeats: int) -> dict[str, float]:
    page.evaluate(WATCH, "map_image")
    end = page.evaluate(
        "[...Bokeh.documents[0]._all_models.values()].find((m) => m.name === 'frame_time').end"
    )
    before = cpu_of(pid)
    for n in range(repeats):
        page.evaluate(SLIDE, (n + 1) % (end + 1))
        page.wait_for_function(f"window.painted.length > {n}", timeout=60_000)
        page.wait_for_timeout(100)
    used = 1e3 * (cpu_of(pid) - before) / repeats
    times = np.asarray(page.evaluate("window.painted"))
    # Frames that were drawn before come from memory.
    first = times[: min(repeats, int(end))]
    out = {
        "slider → map, new frames (ms)": float(np.median(first)),
        "the fastest tenth of them (ms)": float(np.percentile(first, 10)),
    }
    if repeats > end + 1:
        out["slider → map, seen frames (ms)"] = float(np.median(times[int(end) + 1 :]))
    out["CPU of the server per frame (ms)"] = used
    return out


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--stored", type=int, default=0, help="frames of a Zarr store; 0: in memory"
    )
    parser.add_argument("--repeats", type=int, default=40)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="plkit-page-") as folder:
        name = "stored.zarr" if wanted.stored else "map.nc"
        path = plkit.write(cube(wanted.stored or 4), Path(folder, name))
        size = (
            sum(f.stat().st_size for f in path.rglob("*") if f.is_file())
            if path.is_dir()
            else path.stat().st_size
        )
        raw = 2 * 200 * 200 * 512 * (wanted.stored or 4)
        print(f"{name}: {raw / 1e9:.2f} GB of counts, {size / 1e9:.2f} GB on the disk")
        before = noise()
        found = measure(path, wanted.repeats)
        after = noise()
    for what, value in found.items():
        print(f"{what:58s} {value:8.2f}" if "(s)" in what else f"{what:58s} {value:8.1f}")
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for when, (middle, spread) in (("before", before), ("after", after)):
        print(
            f"noise {when}: the same sum in {middle:.2f} ms, its slowest tenth {spread:.1f} times that"
        )


if __name__ == "__main__":
    main()
