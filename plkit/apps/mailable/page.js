"use strict";
// The mailable page: reads the blocks below, and patches the figures in place. Nothing is fetched.
(async () => {
  const $ = (id) => document.getElementById(id);
  const say = (text, warn = false) => {
    $("message").textContent = text;
    $("message").className = warn ? "warn" : "";
  };
  if (typeof DecompressionStream === "undefined") {
    say("This browser is too old to unpack the file: use Firefox 113, Safari 16.4, Chrome or Edge 80, or newer.", true);
    return;
  }

  // Blocks --------------------------------------------------------------------------------------
  async function bytesOf(name) {
    const text = atob($(`block-${name}`).textContent);
    const packed = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) packed[i] = text.charCodeAt(i);
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }
  const textOf = async (name) => new TextDecoder().decode(await bytesOf(name));
  async function codesOf(name) {
    const b = await bytesOf(name), n = b.length / 2, out = new Uint16Array(n);
    for (let i = 0; i < n; i++) out[i] = b[i] | (b[n + i] << 8);
    return out;
  }
  async function floatsOf(name) {
    const b = await bytesOf(name), n = b.length / 4, out = new Uint32Array(n);
    for (let i = 0; i < n; i++) out[i] = b[i] | (b[n + i] << 8) | (b[2 * n + i] << 16) | (b[3 * n + i] << 24);
    return new Float32Array(out.buffer);
  }

  // What a code stands for: see plkit/apps/mailable/codes.py.
  function bookOf({ start, step, knee }, most) {
    const book = new Float64Array(most + 1);
    book[0] = NaN;
    for (let code = 1; code <= most; code++) {
      const u = start + step * (code - 1);
      book[code] = knee > 0 ? Math.sign(u) * knee * ((Math.abs(u) + 1) ** 2 - 1) : u;
    }
    return book;
  }

  async function unpack(layer) {
    if (layer.ready) return;
    const s = layer.spectra;
    if (s) {
      s.codes = await codesOf(s.block);
      let most = 0;
      for (const c of s.codes) if (c > most) most = c;
      s.book = bookOf(s.scale, most);
      [s.frames, s.channels, s.pixels] = s.shape;
    }
    for (const q of layer.quantities) {
      if (q.block) q.values = await floatsOf(q.block);
      if (q.sigma) q.spread = await floatsOf(q.sigma);
      if (q.fit) q.fit.curves = [await floatsOf(q.fit.curve), await floatsOf(q.fit.spread)];
    }
    if (layer.fits) layer.fits = JSON.parse(await textOf(layer.fits));
    layer.ready = true;
  }

  // Start ---------------------------------------------------------------------------------------
  const script = document.createElement("script");
  script.textContent = await textOf("bokeh");
  document.head.append(script);
  const page = JSON.parse(await textOf("page"));
  $("main").hidden = false;
  await Bokeh.embed.embed_items({ doc: page.document }, [
    { docid: "doc", roots: page.roots, root_ids: Object.keys(page.roots) },
  ]);
  const doc = Bokeh.documents[0];
  const models = new Map();
  for (const m of doc._all_models.values()) if (m.name) models.set(m.name, m);
  const model = (name) => models.get(name);
  const put = (name, data) => { model(name).data = data; };
  const figures = ["map", "spectrum", "residual", "trace"];
  const show = (name, on) => {
    $(`figure_${name}`).style.display = on ? "" : "none";
  };

  const S = {
    layer: null, key: "", at: [], row: 0, col: 0, half: 0, band: null, fixed: true, percentile: 0.5,
    log: false, palette: "viridis", limits: null, entries: [], trace: "band", playing: null,
  };
  let planes = new Map(); // images that were drawn before
  const PLANES = 64;

  // Geometry ------------------------------------------------------------------------------------
  const clamp = (v, n) => Math.min(Math.max(v, 0), n - 1);
  const nearest = (axis, v) => {
    let best = 0;
    for (let i = 1; i < axis.length; i++) if (Math.abs(axis[i] - v) < Math.abs(axis[best] - v)) best = i;
    return best;
  };
  const sizes = () => S.layer.plane.map((a) => a.values.length);
  const frameAt = (at) => S.layer.outer.reduce((f, a, k) => f * a.values.length + at[k], 0);
  const quantity = () => S.layer.quantities.find((q) => q.key === S.key);

  function boxAt(row, col, half) {
    const [rows, cols] = sizes(), out = [];
    for (let r = Math.max(row - half, 0); r <= Math.min(row + half, rows - 1); r++) {
      if (!S.layer.is_map) { out.push(r); continue; }
      for (let c = Math.max(col - half, 0); c <= Math.min(col + half, cols - 1); c++) out.push(r * cols + c);
    }
    return out;
  }
  function inside(px, py, x, y) { // even-odd rule
    let is = false;
    for (let i = 0, j = x.length - 1; i < x.length; j = i++) {
      if (y[i] > py !== y[j] > py && px < (x[j] - x[i]) * (py - y[i]) / (y[j] - y[i]) + x[i]) is = !is;
    }
    return is;
  }
  function pixelsOf(entry) {
    if (entry.kind === "pin") return boxAt(entry.row, entry.col, entry.half);
    const [rows, cols] = S.layer.plane.map((a) => a.values), out = [];
    rows.forEach((y, r) => cols.forEach((x, c) => {
      if (inside(x, y, entry.x, entry.y)) out.push(r * cols.length + c);
    }));
    return out;
  }

  // Numbers -------------------------------------------------------------------------------------
  function meanSpectrum(frame, pixels) {
    const { codes, book, channels, pixels: P } = S.layer.spectra;
    const out = new Float64Array(channels);
    for (let c = 0; c < channels; c++) {
      const base = (frame * channels + c) * P;
      let sum = 0, n = 0;
      for (const p of pixels) {
        const v = book[codes[base + p]];
        if (v === v) { sum += v; n++; }
      }
      out[c] = n ? sum / n : NaN;
    }
    return out;
  }
  // σ of a mean of n spectra, as plkit.spectra.variance: gain · expected + floor, the expected light
  // being the mean over five channels, mirrored at the ends.
  function sigmaOf(mean, n) {
    const noise = S.layer.spectra.noise;
    if (!noise) return null;
    const last = mean.length - 1, term = (t, c) => (t.length > 1 ? t[c] : t[0]);
    return mean.map((_, c) => {
      let sum = 0, count = 0;
      for (let k = c - 2; k <= c + 2; k++) {
        let j = last ? Math.abs(k) % (2 * last) : 0;
        if (j > last) j = 2 * last - j;
        if (mean[j] === mean[j]) { sum += mean[j]; count++; }
      }
      const expected = count ? Math.max(sum / count, 0) : NaN;
      return Math.sqrt((term(noise[0], c) * expected + term(noise[1], c)) / n);
    });
  }
  function channelsOf(band) {
    const axis = S.layer.spectra.axis.values, n = axis.length;
    if (!band) return [0, n];
    let first = 0, last = n;
    while (first < n && axis[first] < band[0]) first++;
    while (last > 0 && axis[last - 1] > band[1]) last--;
    if (first >= last) { first = nearest(axis, (band[0] + band[1]) / 2); last = first + 1; }
    return [first, last];
  }
  // Sums over the band: of the readings that were averaged, too.
  function bandSums(frame, pixels) {
    const { codes, book, channels, pixels: P, per_channel } = S.layer.spectra;
    const [first, last] = channelsOf(S.band);
    const out = new Float64Array(pixels ? pixels.length : P), count = new Uint16Array(out.length);
    for (let c = first; c < last; c++) {
      const base = (frame * channels + c) * P;
      for (let i = 0; i < out.length; i++) {
        const v = book[codes[base + (pixels ? pixels[i] : i)]];
        if (v === v) { out[i] += v; count[i]++; }
      }
    }
    for (let i = 0; i < out.length; i++) out[i] = count[i] ? out[i] * per_channel : NaN;
    return out;
  }
  function frameOf(q, at) { // of a result that may not run over every outer dim
    let f = 0;
    S.layer.outer.forEach((a, k) => { if (q.frames.includes(a.dim)) f = f * a.values.length + at[k]; });
    return f;
  }
  function planeAt(at) {
    const q = quantity(), [rows, cols] = sizes(), n = rows * cols;
    const name = JSON.stringify([q.key, q.key === "band" ? S.band : 0, at]);
    if (planes.has(name)) return planes.get(name);
    let out;
    if (q.key === "band") out = bandSums(frameAt(at), null);
    else if (q.key === "spectra") {
      const { codes, book, channels, pixels: P } = S.layer.spectra, frame = frameAt(at);
      out = new Float64Array(n);
      for (let r = 0; r < rows; r++)
        for (let c = 0; c < cols; c++) out[r * cols + c] = book[codes[(frame * channels + c) * P + r]];
    } else {
      const f = frameOf(q, at);
      out = q.values.subarray(f * n, (f + 1) * n);
    }
    if (planes.size >= PLANES) planes.delete(planes.keys().next().value);
    planes.set(name, out);
    return out;
  }
  const statistics = (values) => {
    const good = Array.from(values).filter(Number.isFinite), n = good.length;
    const mean = n ? good.reduce((a, b) => a + b, 0) / n : NaN;
    const scatter = n > 1 ? Math.sqrt(good.reduce((a, b) => a + (b - mean) ** 2, 0) / (n - 1)) : NaN;
    return { n, mean, scatter, stderr: scatter / Math.sqrt(n) };
  };

  // Text ----------------------------------------------------------------------------------------
  const escaped = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
  const raised = (n) => [...String(n)].map((c) => "⁰¹²³⁴⁵⁶⁷⁸⁹"["0123456789".indexOf(c)] ?? "⁻").join("");
  function plain(v) {
    if (!Number.isFinite(v)) return "no result";
    const size = Math.abs(v);
    if (v === 0 || (size >= 1e-3 && size < 1e5)) return String(Number(v.toPrecision(4))).replace("-", "−");
    const [m, e] = v.toExponential(2).split("e");
    return `${m.replace("-", "−")} × 10${raised(Number(e))}`;
  }
  function withSigma(v, s, unit = "") { // two digits of σ, as plkit.plot.style.value_text
    const tail = unit ? ` ${unit}` : "";
    if (!Number.isFinite(v)) return "no result";
    if (!(Number.isFinite(s) && s > 0)) return plain(v) + tail;
    const exponent = Math.floor(Math.log10(Math.max(Math.abs(v), s)));
    const factored = exponent < -3 || exponent > 5, scale = factored ? 10 ** exponent : 1;
    const digits = Math.min(Math.max(0, 1 - Math.floor(Math.log10(Number((s / scale).toPrecision(2))))), 20);
    const text = `${(v / scale).toFixed(digits)} ± ${(s / scale).toFixed(digits)}`.replace("-", "−");
    return factored ? `(${text}) × 10${raised(exponent)}${tail}` : text + tail;
  }
  function meaning(q, v) { // of a code, or of a sum of bits
    if (!q.masks) return q.flag[String(v)] ?? plain(v);
    const words = Object.entries(q.flag).filter(([bit]) => v & Number(bit)).map(([, word]) => word);
    return v === 0 ? "none" : words.join(", ") || plain(v);
  }
  const swatched = (e) => `<span class="swatch" style="background:${e.colour}"></span>${escaped(e.name)}`;
  function position(axis, i) { // with as many digits as tell neighbours apart
    const v = axis.values, n = v.length, most = Math.max(Math.abs(v[0]), Math.abs(v[n - 1]));
    const step = n > 1 ? Math.abs(v[n - 1] - v[0]) / (n - 1) : most;
    const digits = most > 0 && step > 0 ? Math.ceil(Math.log10(most / step)) + 1 : 0;
    const text = String(Number(v[i].toPrecision(Math.min(Math.max(digits, 4), 12))));
    return text.includes("e") ? plain(v[i]) : text.replace("-", "−");
  }
  const stamp = (axis, i) => `${axis.symbol} = ${position(axis, i)} ${axis.unit}`.trim();
  const rowsOf = (rows) =>
    `<table class="plain">${rows.map((r) => `<tr>${r.map((c) => `<td>${c}</td>`).join("")}</tr>`).join("")}</table>`;

  // Drawing -------------------------------------------------------------------------------------
  function levelsOf(values) {
    const good = Float64Array.from(values).filter((v) => Number.isFinite(v) && (v > 0 || !S.log)).sort();
    if (!good.length) return S.log ? [1, 10] : [0, 1];
    const at = (share) => {
      const x = share * (good.length - 1), i = Math.floor(x);
      return good[i] + (x - i) * ((good[i + 1] ?? good[i]) - good[i]);
    };
    return apart(at(S.percentile / 100), at(1 - S.percentile / 100));
  }
  function apart(low, high) {
    if (S.log && low <= 0) low = Math.max(high, 1) * 1e-3;
    return high > low ? [low, high] : [low, low + (Math.abs(low) * 1e-3 || 1)];
  }
  let scaleKey = "", scale = [0, 1];
  function scaleOf(image) {
    if (S.limits) return apart(...S.limits);
    if (!S.fixed || !S.layer.outer.length) return levelsOf(image);
    const others = S.at.slice(1);
    const key = JSON.stringify([S.layer.name, S.key, S.band, S.percentile, S.log, others]);
    if (key !== scaleKey) { // of the first and the last frame, so that it stays while frames change
      const ends = [...new Set([0, S.layer.outer[0].values.length - 1])];
      const all = [];
      for (const i of ends) for (const v of planeAt([i, ...others])) all.push(v);
      [scaleKey, scale] = [key, levelsOf(all)];
    }
    return scale;
  }

  function drawImage() {
    const layer = S.layer, image = planeAt(S.at), [low, high] = scaleOf(image), q = quantity();
    const mapper = model(S.log ? "map_log" : "map_linear"), glyph = model("map_glyph").glyph;
    mapper.setv({ palette: page.palettes[S.palette], low, high });
    if (glyph.color_mapper !== mapper) {
      glyph.color_mapper = mapper;
      model("map_bar").color_mapper = mapper;
    }
    const [ay, ax] = layer.plane, cols = ax.values.length;
    const ir = ay.even ?? ay.values.map((_, i) => i), ic = ax.even ?? ax.values.map((_, i) => i);
    const drawn = new Float32Array(ir.length * ic.length);
    let k = 0;
    for (const r of ir) for (const c of ic) {
      const v = image[r * cols + c];
      drawn[k++] = S.log && !(v > 0) ? NaN : v;
    }
    put("map_image", {
      image: [new arrays.Float32(drawn, [ir.length, ic.length])], x: [ax.start], y: [ay.start],
      dw: [ax.length], dh: [ay.length],
    });
    model("map_bar").title = q.label.length < 60 ? q.label : q.title;
    model("map").title.text = layer.outer.map((a, i) => stamp(a, S.at[i])).join(", ");
    const x = [], y = [];
    let failed = 0;
    image.forEach((v, i) => {
      if (Number.isFinite(v)) return;
      failed++;
      if (failed <= 4000) { x.push(ax.values[i % cols]); y.push(ay.values[Math.floor(i / cols)]); }
    });
    put("map_failed", failed > 4000 ? { x: [], y: [] } : { x, y }); // grey says it already
    say(failed ? `${failed} of ${image.length} ${layer.is_map ? `pixels have no ${q.values ? "result" : "number"} (grey)` : "values are missing (grey)"}` : "");
    drawTable();
  }

  function rectangle(row, col, half) {
    const [ay, ax] = S.layer.plane, dx = ax.length / ax.values.length, dy = ay.length / ay.values.length;
    const h = dy * (2 * half + 1), y = ay.values[row];
    if (!S.layer.is_map) return { x: ax.start + ax.length / 2, y, w: ax.length, h };
    return { x: ax.values[col], y, w: dx * (2 * half + 1), h };
  }
  const columns = (items, names) => Object.fromEntries(names.map((n) => [n, items.map((i) => i[n])]));

  function drawCursor() {
    put("map_cursor", columns([rectangle(S.row, S.col, S.half)], ["x", "y", "w", "h"]));
  }
  function drawEntries() {
    const pins = S.entries.filter((e) => e.kind === "pin").map((e) => ({ ...rectangle(e.row, e.col, e.half), ...e }));
    const regions = S.entries.filter((e) => e.kind === "region");
    put("map_pins", columns(pins, ["x", "y", "w", "h", "colour"]));
    put("map_regions", columns(regions, ["x", "y", "colour", "name"]));
    const labels = [...pins, ...regions.map((e) => ({ ...e, x: Math.max(...e.x), y: Math.max(...e.y) }))];
    put("map_labels", columns(labels, ["x", "y", "colour", "name"]));
  }

  function place() {
    const [ay, ax] = S.layer.plane;
    if (!S.layer.is_map) return stamp(ay, S.row);
    const n = boxAt(S.row, S.col, S.half).length;
    return `${stamp(ax, S.col)}, ${stamp(ay, S.row)}${n > 1 ? `, mean of ${n} pixels` : ""}`;
  }

  function drawSpectrum() {
    const s = S.layer.spectra;
    if (!s) return;
    const frame = frameAt(S.at), x = s.axis.values, pixels = boxAt(S.row, S.col, S.half);
    const mean = meanSpectrum(frame, pixels), sigma = sigmaOf(mean, pixels.length);
    put("spectrum_here", { x, y: mean });
    put("spectrum_sigma", sigma
      ? { x, low: mean.map((v, i) => v - sigma[i]), high: mean.map((v, i) => v + sigma[i]) }
      : { x: [], low: [], high: [] });
    model("spectrum").title.text = place();
    drawFit(frame, pixels, mean, sigma);
  }
  function drawKeptSpectra() {
    const s = S.layer.spectra;
    if (!s) return;
    const kept = S.entries.map((e) => ({ ...e, x: s.axis.values, y: meanSpectrum(frameAt(S.at), pixelsOf(e)) }));
    put("spectrum_kept", columns(kept, ["x", "y", "colour", "name"]));
  }
  function drawFit(frame, rows, mean, sigma) {
    const parts = S.layer.fits?.components ?? [], x = S.layer.spectra.axis.values;
    const known = parts.length && parts.every((p) => rows.every((r) => p.amount[frame][r] !== null));
    show("residual", known);
    if (!known) {
      for (const name of ["spectrum_total", "misfit"]) put(name, { x: [], y: [] });
      put("spectrum_parts", { x: [], y: [], colour: [], name: [] });
      $("fit_text").textContent = "";
      return;
    }
    const total = new Float64Array(x.length), drawn = new Map();
    for (const p of parts) {
      const amount = rows.reduce((a, r) => a + p.amount[frame][r], 0) / rows.length;
      if (!drawn.has(p.name)) drawn.set(p.name, { x, y: new Float64Array(x.length), colour: p.colour, name: p.name });
      p.shape.forEach((v, c) => { drawn.get(p.name).y[c] += amount * v; total[c] += amount * v; });
    }
    put("spectrum_total", { x, y: total });
    put("spectrum_parts", columns([...drawn.values()], ["x", "y", "colour", "name"]));
    put("misfit", { x, y: mean.map((v, c) => (v - total[c]) / (sigma ? sigma[c] : 1)) });
    model("residual").title.text = "Residual";
    model("figure_residual_y").axis_label = sigma ? "σ" : S.layer.spectra.unit;
    $("fit_text").innerHTML = "Fit (solid) as the sum of " + [...drawn.values()].map(swatched).join(", ");
  }

  function traceAt(pixels) { // what is shown, along what is played: [values, σ or null]
    const q = quantity(), layer = S.layer;
    if (!layer.is_map) { // every row of the series; of a region none
      return [bandSums(frameAt(S.at), layer.plane[0].values.map((_, i) => i)), null];
    }
    const n = layer.outer[0].values.length, y = new Float64Array(n), s = new Float64Array(n);
    for (let i = 0; i < n; i++) {
      const at = [i, ...S.at.slice(1)];
      if (q.key === "band") y[i] = statistics(bandSums(frameAt(at), pixels)).mean;
      else {
        const [rows, cols] = sizes(), base = frameOf(q, at) * rows * cols;
        y[i] = statistics(pixels.map((p) => q.values[base + p])).mean;
        s[i] = q.spread ? Math.sqrt(pixels.reduce((a, p) => a + q.spread[base + p] ** 2, 0)) / pixels.length : NaN;
      }
    }
    return [y, q.spread ? s : null];
  }
  function drawTrace() {
    const layer = S.layer, none = { x: [], y: [], colour: [] };
    const kinetics = S.trace === "fractions" ? layer.fits?.kinetics?.[frameAt(S.at)] : null;
    const played = layer.is_map ? layer.outer[0] : layer.plane[0], q = quantity();
    const runs = layer.is_map ? layer.outer.length && (q.key === "band" || q.frames.includes(played.dim)) : true;
    show("trace", Boolean(runs));
    if (!runs) { $("trace_text").textContent = ""; return; }
    const accent = "#0072B2";
    model("figure_trace_x").axis_label = kinetics ? kinetics.x_label : played.label;
    model("trace_now").location = played.values[layer.is_map ? S.at[0] : S.row];
    if (kinetics) {
      put("trace_here", { x: [], y: [] });
      model("trace_line").visible = true;
      put("trace_kept", { ...none, name: [] });
      const points = { x: [], y: [], colour: [] }, errors = { x: [], low: [], high: [], colour: [] };
      for (const t of kinetics.traces) t.y.forEach((v, i) => {
        if (v === null) return;
        points.x.push(kinetics.x[i]); points.y.push(v); points.colour.push(t.colour);
        if (t.sigma?.[i] == null) return;
        errors.x.push(kinetics.x[i]); errors.low.push(v - t.sigma[i]); errors.high.push(v + t.sigma[i]);
        errors.colour.push(t.colour);
      });
      put("trace_points", points);
      put("trace_errors", errors);
      const fitted = kinetics.traces.filter((t) => t.curve);
      put("trace_curves", columns(fitted.map((t) => ({ x: kinetics.grid, y: t.curve, colour: t.colour })), ["x", "y", "colour"]));
      put("trace_bands", columns(fitted.map((t) => ({
        x: [...kinetics.grid, ...kinetics.grid.toReversed()], colour: t.colour,
        y: [...t.curve.map((v, i) => v + t.spread[i]), ...t.curve.map((v, i) => v - t.spread[i]).toReversed()],
      })), ["x", "y", "colour"]));
      model("figure_trace_y").axis_label = kinetics.y_label;
      $("trace_text").innerHTML = kinetics.traces.map(swatched).join(", ") + (fitted.length ? ". Line: fit, band: one σ." : "");
      return;
    }
    put("trace_points", none);
    drawPixelFit(q);
    const [y, sigma] = traceAt(boxAt(S.row, S.col, S.half)), x = played.values;
    put("trace_here", { x, y });
    put("trace_errors", sigma
      ? { x, low: y.map((v, i) => v - sigma[i]), high: y.map((v, i) => v + sigma[i]), colour: x.map(() => accent) }
      : { x: [], low: [], high: [], colour: [] });
    const kept = layer.is_map ? S.entries.map((e) => ({ ...e, x, y: traceAt(pixelsOf(e))[0] })) : [];
    put("trace_kept", columns(kept, ["x", "y", "colour", "name"]));
    model("figure_trace_y").axis_label = layer.is_map && q.key !== "band" ? q.label : layer.band_label;
  }

  function drawPixelFit(q) { // of the fraction at the cursor
    const fit = q.fit, x = fit?.grid ?? [], n = x.length, pixels = boxAt(S.row, S.col, S.half);
    const y = [], s = [];
    for (let i = 0; i < n; i++) {
      const mean = statistics(pixels.map((p) => fit.curves[0][p * n + i])).mean;
      y.push(fit.mirrored ? 1 - mean : mean);
      s.push(Math.sqrt(pixels.reduce((a, p) => a + fit.curves[1][p * n + i] ** 2, 0)) / pixels.length);
    }
    const known = n > 0 && y.every(Number.isFinite), band = known && s.every(Number.isFinite), colour = ["#0072B2"];
    put("trace_curves", known ? { x: [x], y: [y], colour } : { x: [], y: [], colour: [] });
    put("trace_bands", band ? {
      x: [[...x, ...x.toReversed()]], colour,
      y: [[...y.map((v, i) => v + s[i]), ...y.map((v, i) => v - s[i]).toReversed()]],
    } : { x: [], y: [], colour: [] });
    $("trace_text").textContent = known ? `Line: fit${band ? ", band: one σ" : ""}.` : "";
    model("trace_line").visible = !known;
  }

  function drawBand() {
    const box = model("spectrum_band");
    if (S.band) box.setv({ left: S.band[0], right: S.band[1] });
    box.visible = Boolean(S.band);
    [$("band_low").value, $("band_high").value] = S.band ? S.band.map((v) => Number(v.toPrecision(6))) : ["", ""];
  }

  // Tables --------------------------------------------------------------------------------------
  function drawTable() {
    const image = planeAt(S.at), q = quantity(), cols = sizes()[1];
    if (!S.entries.length) { $("entries").innerHTML = ""; return; }
    const rows = S.entries.map((e, i) => {
      const pixels = pixelsOf(e);
      const values = S.layer.is_map ? pixels.map((p) => image[p]) : Array.from(bandSums(frameAt(S.at), pixels));
      const found = statistics(values);
      return `<tr><td class="name">${swatched(e)}</td>` +
        `<td>${escaped(whereIs(e))}</td><td>${found.n}</td><td>${escaped(withSigma(found.mean, found.stderr))}</td>` +
        `<td>${found.n > 1 ? escaped(plain(found.scatter)) : ""}</td>` +
        `<td><button type="button" class="remove" data-entry="${i}" aria-label="Remove ${escaped(e.name)}">×</button></td></tr>`;
    });
    const label = S.layer.is_map ? q.label : S.layer.band_label;
    $("entries").innerHTML = `<table class="plain"><tr><th></th><th></th><th>pixels</th><th>mean ± σ of the mean</th>` +
      `<th>scatter</th><th></th></tr>${rows.join("")}</table><small class="faint">${escaped(label)}</small>`;
  }
  function whereIs(e) {
    const [ay, ax] = S.layer.plane;
    if (e.kind === "region") return "region";
    return S.layer.is_map ? `${stamp(ax, e.col)}, ${stamp(ay, e.row)}` : stamp(ay, e.row);
  }
  function drawHere() {
    const layer = S.layer, rows = [], pixels = boxAt(S.row, S.col, S.half), cols = sizes()[1];
    for (const q of layer.quantities) {
      if (!q.values) continue;
      const base = frameOf(q, S.at) * sizes()[0] * cols;
      const values = pixels.map((p) => q.values[base + p]);
      let text;
      if (q.flag) text = [...new Set(values.map((v) => meaning(q, v)))].join("; ");
      else {
        const s = q.spread ? Math.sqrt(pixels.reduce((a, p) => a + q.spread[base + p] ** 2, 0)) / pixels.length : NaN;
        text = withSigma(statistics(values).mean, s, q.unit);
      }
      rows.push([escaped(q.symbol), escaped(q.title), escaped(text)]);
    }
    let html = rows.length ? `<h2>${escaped(place())}</h2>${rowsOf(rows)}` : "";
    const kinetics = layer.fits?.kinetics?.[frameAt(S.at)];
    if (kinetics?.numbers.length) {
      const where = layer.outer.map((a, i) => stamp(a, S.at[i])).join(", ");
      html += `<h2>Kinetics${where ? `, ${escaped(where)}` : ""}</h2>${rowsOf(kinetics.numbers.map((r) => r.map(escaped)))}`;
    }
    $("here").innerHTML = html;
    $("here").style.display = html ? "" : "none";
  }

  // Changes -------------------------------------------------------------------------------------
  function moved() { drawSpectrum(); drawCursor(); drawTrace(); drawHere(); }
  function framed() { drawImage(); drawSpectrum(); drawKeptSpectra(); drawTrace(); drawHere(); drawSliders(); }
  function changedEntries() { drawEntries(); drawKeptSpectra(); drawTrace(); drawTable(); }
  function changedShown() { drawImage(); drawTrace(); drawHere(); }

  function goTo(row, col) {
    const [rows, cols] = sizes();
    [S.row, S.col] = [clamp(row, rows), clamp(col, cols)];
    moved();
  }
  function setBand(a, b) {
    if (a === b) return;
    S.band = [Math.min(a, b), Math.max(a, b)];
    if (S.layer.is_map) { S.key = "band"; $("quantity").value = "band"; }
    else if (S.trace !== "band") { S.trace = "band"; $("trace_kind").value = "band"; }
    drawBand();
    changedShown();
  }
  const freeName = (start) => {
    let i = 1;
    while (S.entries.some((e) => e.name === start + i)) i++;
    return start + i;
  };
  const freeColour = () => {
    const used = (c) => S.entries.filter((e) => e.colour === c).length;
    return page.colours.reduce((best, c) => (used(c) < used(best) ? c : best));
  };
  function pin() {
    S.entries.push({ kind: "pin", name: freeName("P"), colour: freeColour(), row: S.row, col: S.col, half: S.half });
    changedEntries();
  }
  function addRegion(x, y) {
    const entry = { kind: "region", name: freeName("R"), colour: freeColour(), x, y };
    if (!pixelsOf(entry).length) { say("No pixel has its middle in this region.", true); return; }
    S.entries.push(entry);
    changedEntries();
  }
  function step(by) {
    if (S.layer.is_map && S.layer.outer.length) {
      const n = S.layer.outer[0].values.length;
      S.at[0] = (S.at[0] + by + n) % n;
      framed();
    } else if (!S.layer.is_map) {
      const n = sizes()[0];
      goTo((S.row + by + n) % n, S.col);
    }
  }
  function play(on) {
    clearInterval(S.playing);
    S.playing = on ? setInterval(() => step(1), 150) : null;
    $("play").textContent = on ? "⏸ Stop" : "▶ Play";
  }

  // Controls ------------------------------------------------------------------------------------
  const options = (items) => items.map(([v, t]) => `<option value="${escaped(v)}">${escaped(t)}</option>`).join("");
  function drawSliders() {
    S.layer.outer.forEach((a, k) => {
      $(`at_${k}`).value = S.at[k];
      $(`at_value_${k}`).textContent = position(a, S.at[k]);
    });
  }
  async function setLayer(name) {
    play(false);
    const layer = page.layers.find((l) => l.name === name);
    if (!layer.ready) say("Unpacking …");
    await unpack(layer);
    S.layer = layer;
    planes = new Map();
    scaleKey = "";
    const [rows, cols] = sizes();
    Object.assign(S, {
      key: layer.first, at: layer.outer.map(() => 0), row: rows >> 1, col: cols >> 1, band: null, limits: null,
      entries: [], half: 0, trace: layer.fits?.kinetics?.length ? "fractions" : "band",
    });
    if (!layer.quantities.some((q) => q.key === S.key)) S.key = layer.quantities[0].key;
    $("quantity").innerHTML = options(layer.quantities.map((q) => [q.key, q.title]));
    $("quantity").value = S.key;
    $("quantity_row").hidden = layer.quantities.length < 2;
    $("sliders").innerHTML = layer.outer.map((a, k) =>
      `<label><span>${escaped(a.label)}: <b id="at_value_${k}"></b></span><input type="range" id="at_${k}" min="0" ` +
      `max="${a.values.length - 1}" value="0" ${a.values.length < 2 ? "disabled" : ""}></label>`).join("");
    layer.outer.forEach((_, k) => $(`at_${k}`).addEventListener("input", (e) => { S.at[k] = Number(e.target.value); framed(); }));
    const several = (layer.is_map ? layer.outer[0]?.values.length : rows) > 1;
    $("play_row").style.display = several ? "" : "none";
    $("fixed").parentElement.style.display = layer.outer.length ? "" : "none";
    $("half_row").style.display = layer.is_map ? "" : "none";
    $("half").value = 0; $("half_value").textContent = "0"; $("low").value = ""; $("high").value = "";
    $("band_row").style.display = layer.spectra ? "" : "none";
    for (const id of ["box", "polygon"]) $(id).style.display = layer.is_map ? "" : "none";
    const kinds = layer.fits?.kinetics?.length ? [["fractions", "Emission fractions with fit"], ["band", "Sum over the band"]] : [];
    $("trace_kind").innerHTML = options(kinds);
    $("trace_row").style.display = kinds.length ? "" : "none";
    if (kinds.length) $("trace_kind").value = S.trace;
    const [ay, ax] = layer.plane;
    model("figure_map_x").axis_label = ax.label;
    model("figure_map_y").axis_label = ay.label;
    model("map").match_aspect = layer.is_map;
    const bar = layer.is_map && ax.metres;
    model("scale_bar").visible = bar;
    show("spectrum", Boolean(layer.spectra));
    show("residual", false);
    if (layer.spectra) {
      model("figure_spectrum_x").axis_label = model("figure_residual_x").axis_label = layer.spectra.axis.label;
      model("figure_spectrum_y").axis_label = layer.spectra.label;
    } else $("fit_text").textContent = "";
    drawBand();
    framed();
    drawCursor();
    drawEntries();
    for (const name of figures) model(name).reset.emit();
  }

  const on = (id, kind, act) => $(id).addEventListener(kind, act);
  on("layer", "change", (e) => setLayer(e.target.value));
  on("quantity", "change", (e) => { S.key = e.target.value; changedShown(); });
  on("half", "input", (e) => { S.half = Number(e.target.value); $("half_value").textContent = S.half; moved(); });
  on("fixed", "change", (e) => { S.fixed = e.target.checked; drawImage(); });
  on("percentile", "change", (e) => { S.percentile = Math.min(Math.max(Number(e.target.value) || 0, 0), 20); scaleKey = ""; drawImage(); });
  on("log", "change", (e) => { S.log = Boolean(e.target.value); drawImage(); });
  on("palette", "change", (e) => { S.palette = e.target.value; drawImage(); });
  on("trace_kind", "change", (e) => { S.trace = e.target.value; drawTrace(); });
  for (const id of ["low", "high"]) on(id, "change", () => {
    const [low, high] = [$("low"), $("high")].map((f) => (f.value === "" ? NaN : Number(f.value)));
    S.limits = low < high ? [low, high] : null;
    drawImage();
  });
  for (const id of ["band_low", "band_high"]) on(id, "change", () => {
    const [a, b] = [$("band_low"), $("band_high")].map((f) => (f.value === "" ? NaN : Number(f.value)));
    if (a < b) setBand(a, b);
    else if (Number.isNaN(a) && Number.isNaN(b)) { S.band = null; drawBand(); changedShown(); }
  });
  on("play", "click", () => play(!S.playing));
  on("pin", "click", pin);
  const drags = { box: "box_tool", polygon: "polygon_tool" }, panning = model("map").toolbar.active_drag;
  function draw(kind) {
    const now = model("map").toolbar;
    now.active_drag = kind ? model(drags[kind]) : panningTool();
    for (const id of Object.keys(drags)) $(id).setAttribute("aria-pressed", String(id === kind));
  }
  const panningTool = () => model("map").toolbar.tools.find((t) => t.type === "PanTool") ?? panning;
  for (const id of Object.keys(drags)) on(id, "click", () => draw($(id).getAttribute("aria-pressed") === "true" ? "" : id));
  on("clear", "click", () => { S.entries = []; changedEntries(); });
  on("entries", "click", (e) => {
    const at = e.target.dataset?.entry;
    if (at !== undefined) { S.entries.splice(Number(at), 1); changedEntries(); }
  });

  // Two quick clicks are a double one, also where they are on different pixels.
  for (const kind of ["tap", "doubletap"]) model("map").on_event(kind, (e) => {
    if (e.x == null) return;
    const [ay, ax] = S.layer.plane;
    goTo(nearest(ay.values, e.y), nearest(ax.values, e.x));
  });
  model("map").on_event("selectiongeometry", (e) => {
    const g = e.geometry;
    if (!e.final || !S.layer.is_map || g.type === "point") return;
    if (g.type === "rect") addRegion([g.x0, g.x1, g.x1, g.x0], [g.y0, g.y0, g.y1, g.y1]);
    else addRegion(Array.from(g.x), Array.from(g.y));
    draw("");
  });
  model("spectrum").on_event("selectiongeometry", (e) => {
    if (e.final && e.geometry.type === "rect") setBand(e.geometry.x0, e.geometry.x1);
  });
  const band = model("spectrum_band");
  const dragged = () => { // an edge of the band, or all of it
    if (!band.visible || !S.band) return;
    const ends = [band.left, band.right].map(Number).sort((a, b) => a - b);
    if (ends.some((v, i) => Math.abs(v - S.band[i]) > 1e-9 * Math.abs(v))) setBand(...ends);
  };
  for (const side of ["left", "right"]) band.properties[side].change.connect(dragged);
  document.addEventListener("keydown", (e) => {
    if (e.target.closest?.("input, select, textarea") || e.ctrlKey || e.metaKey || e.altKey) return;
    const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [1, 0], ArrowDown: [-1, 0] }[e.key];
    if (steps) goTo(S.row + steps[0], S.col + (S.layer.is_map ? steps[1] : 0));
    else if (e.key === "." || e.key === ",") step(e.key === "." ? 1 : -1);
    else if (e.key === " " && !e.target.closest?.("button")) play(!S.playing);
    else if (e.key === "p") pin();
    else if (e.key === "Delete" && S.entries.length) { S.entries.pop(); changedEntries(); }
    else return;
    e.preventDefault();
  });

  function paint(dark) {
    document.documentElement.classList.toggle("dark", dark);
    $("dark").setAttribute("aria-pressed", String(dark));
    for (const [id, changes] of Object.entries(page.themes)) {
      doc.get_model_by_id(id).setv(Object.fromEntries(Object.entries(changes).map(([k, v]) => [k, v[Number(dark)]])));
    }
  }
  on("dark", "click", () => paint(!document.documentElement.classList.contains("dark")));

  const arrays = { Float32: Object.getPrototypeOf(model("map_image").data.image[0]).constructor };
  $("layer").innerHTML = options(page.layers.map((l) => [l.name, l.name]));
  $("layer_row").hidden = page.layers.length < 2;
  $("palette").innerHTML = options(Object.keys(page.palettes).map((p) => [p, p]));
  if (matchMedia("(prefers-color-scheme: dark)").matches) paint(true);
  await setLayer(page.layers[0].name);
  window.plkit_page = { state: S, page, model, meanSpectrum, sigmaOf, bandSums, planeAt, frameAt };
  window.plkit_ready = true;
})().catch((error) => {
  const where = document.getElementById("message");
  where.textContent = `The page could not be drawn: ${error.message ?? error}`;
  where.className = "warn";
  console.error(error);
});
