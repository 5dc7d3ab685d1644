"""The Simulate tab in a browser: every simulation, progress and cancel, inputs that a reload brings back."""

# ruff: noqa: F811  fixtures are imported, and asked for by their names

from __future__ import annotations

from typing import Any

from tests.page_driver import browser, file_address, page, serve  # noqa: F401  fixtures


def opened(p: Any, title: str) -> None:
    p.tab("Simulate")
    p.wait("model('simulation')")
    p.choose("simulation", title)


def test_carriers_follow_the_form_and_a_reload(page: Any, file_address: str) -> None:
    p = page(file_address)
    opened(p, "Carriers")
    p.wait("model('carriers_text') && model('carriers_text').text.includes('1.758')")
    density = "Math.max(...data('carriers_steady').n)"
    before = p.page.evaluate(density)
    p.shot("carriers")
    p.page.evaluate("model('carriers_lifetime_ns').value = 5")
    p.wait(f"{density} < 0.7 * {before}")
    p.button("Copy as Python").click()
    p.page.wait_for_function(
        "navigator.clipboard.readText().then((t) => t.includes('from_lifetime(5.0'))"
    )
    p.settled_address()
    p.page.reload(wait_until="commit")
    p.ready()
    p.wait("model('carriers_lifetime_ns') && model('carriers_lifetime_ns').value === 5")
    p.wait(f"data('carriers_steady').n.length && {density} < 0.7 * {before}")


def test_thermal_cycling_with_its_map(page: Any, file_address: str) -> None:
    p = page(file_address)
    opened(p, "Thermal cycling")
    p.wait("model('cycling_text') && model('cycling_text').text.includes('none')")
    p.choose("cycling_pattern", "continuous")
    p.wait("model('cycling_text').text.includes('severe')")
    p.wait("!model('cycling_on_s').visible")
    p.choose("cycling_pattern", "pulses")
    p.wait("model('cycling_text').text.includes('0.5/5 s')")
    p.button("Map of patterns").click()
    p.wait("model('cycling_progress').text.includes('done')")
    p.wait("model('cycling_map').visible && data('cycling_cells').s.length === 144")
    p.shot("cycling")
    p.page.evaluate("model('cycling_duration_s').value = 20000")
    p.wait("model('message').text.includes('40000 spectra, not 7200 at most')")


def test_ion_hopping_runs_and_can_be_cancelled(page: Any, file_address: str) -> None:
    p = page(file_address)
    opened(p, "Ion hopping")
    p.wait("model('hopping_rule')")
    p.choose("hopping_rule", "published")
    p.wait("model('hopping_steps').visible && !model('hopping_end_s').visible")
    p.button("Run").click()
    p.wait("model('hopping_progress').text.includes('done')")
    p.wait("data('hopping_curve').gap.length === 24")
    last = p.page.evaluate("Array.from(data('hopping_curve').gap).at(-1)")
    assert 2.38 < last < 2.48
    p.shot("hopping")
    image = "Array.from(data('hopping_image').image[0]).join()"
    end = p.page.evaluate(image)
    p.page.evaluate("model('hopping_frame').value = 0")
    p.wait(f"{image} !== {end!r}")
    p.choose("hopping_rule", "exact")
    p.page.evaluate("model('hopping_end_s').value = 1; model('hopping_snapshots').value = 200")
    p.page.evaluate("model('hopping_size').value = 40")
    p.page.evaluate("model('hopping_end_s').value = 1e-6")
    p.wait("model('hopping_steps').visible === false")
    p.button("Run").click()
    p.wait("model('hopping_progress').text.includes('%')")
    p.button_named("hopping_cancel").click()
    p.wait("model('hopping_progress').text.includes('cancelled after')")
    p.wait("!model('hopping_run').disabled")
    assert p.page.evaluate("data('hopping_curve').gap.length") == 24  # the earlier run stays
    p.page.evaluate("model('hopping_iodide').value = 1; model('hopping_vacancies').value = 0.5")
    p.wait("model('hopping_vacancies').value === 0.5")
    p.button("Run").click()
    p.wait("model('message').text.includes('not at most 1')")
