"use strict";
(() => {
  const data = JSON.parse(document.getElementById("page-data").textContent);
  const one = (selector, parent = document) => parent.querySelector(selector);
  const all = (selector, parent = document) => [...parent.querySelectorAll(selector)];
  const fixed = (value, digits = data.digits) => (Number.isFinite(value) ? value.toFixed(digits) : "undefined");

  function element(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  }

  // Tables: a button in each heading sorts, and a field filters the rows.
  function sortable(table) {
    const rows = one("tbody", table);
    all("thead th:not(.unsorted)", table).forEach((heading) => {
      const button = element("button", { type: "button" }, ...heading.childNodes);
      heading.replaceChildren(button);
      button.addEventListener("click", () => {
        const before = heading.getAttribute("aria-sort"), number = heading.classList.contains("n");
        const up = before ? before === "descending" : !number;
        all("th[aria-sort]", table).forEach((other) => other.removeAttribute("aria-sort"));
        heading.setAttribute("aria-sort", up ? "ascending" : "descending");
        const key = (row) => row.children[heading.cellIndex].dataset.sort ?? "";
        const order = (a, b) => {
          if (key(a) === "" || key(b) === "") return (key(a) === "") - (key(b) === "");
          const difference = number ? key(a) - key(b) : key(a).localeCompare(key(b));
          return up ? difference : -difference;
        };
        rows.append(...[...rows.children].sort(order));
      });
    });
    const holder = table.parentNode;
    if (holder.classList.contains("tall")) {
      const button = element("button", { type: "button", "aria-expanded": "false", "aria-controls": table.id }, `Show all ${rows.children.length} rows`);
      button.addEventListener("click", () => {
        const tall = holder.classList.toggle("tall");
        button.setAttribute("aria-expanded", !tall);
        button.textContent = tall ? `Show all ${rows.children.length} rows` : "Show fewer rows";
      });
      holder.after(element("div", { class: "controls" }, button));
    }
    if (!table.dataset.searched) return;
    const field = element("input", { type: "search", "aria-controls": table.id });
    const count = element("span", { role: "status" });
    field.addEventListener("input", () => {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of rows.children) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        shown += !row.hidden;
      }
      count.textContent = words.length ? `${shown} of ${rows.children.length} rows` : "";
    });
    holder.before(element("div", { class: "controls" }, element("label", {}, "Filter rows ", field), count));
  }

  // Charts: lines with bands in SVG. The nearest point is read out under the mouse, or with the arrow keys.
  const LEFT = 58, RIGHT = 12, TOP = 10, BOTTOM = 46;
  function svg(parent, tag, attributes, text) {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    if (text !== undefined) node.textContent = text;
    parent.append(node);
    return node;
  }
  function ticks(axis) {
    if (axis.log) {
      const powers = [];
      for (let power = Math.ceil(Math.log10(axis.min) - 1e-9); 10 ** power <= axis.max; power++) powers.push(10 ** power);
      return powers;
    }
    const rough = (axis.max - axis.min) / 5, unit = 10 ** Math.floor(Math.log10(rough));
    const step = Math.max(axis.whole ? 1 : 0, unit * [1, 2, 5, 10].find((each) => each * unit >= rough));
    const places = [];
    for (let place = Math.ceil(axis.min / step - 1e-9); place * step <= axis.max + 1e-9; place++) places.push(place * step);
    return places;
  }
  function chart(holder, { x, y, series, lines = [], mark, label }) {
    if (!holder) return; // a shareable report lacks some charts
    const W = Math.min(Math.max(holder.clientWidth - 30, 260), 640), H = Math.round(0.78 * W);
    const scale = (axis, from, to) => {
      const place = axis.log ? Math.log : (value) => value;
      const low = place(axis.min), width = place(axis.max) - low;
      return (value) => from + ((to - from) * (place(value) - low)) / width;
    };
    const px = scale(x, LEFT, W - RIGHT), py = scale(y, H - BOTTOM, TOP);
    const drawing = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    for (const [name, value] of Object.entries({ viewBox: `0 0 ${W} ${H}`, role: "img", tabindex: "0", "aria-label": `${label}. Use the arrow keys to read its points.` })) drawing.setAttribute(name, value);
    const clip = `clip-${holder.dataset.chart}`;
    svg(svg(drawing, "clipPath", { id: clip }), "rect", { x: LEFT, y: TOP, width: W - LEFT - RIGHT, height: H - TOP - BOTTOM });
    for (const place of ticks(x)) {
      svg(drawing, "line", { x1: px(place), x2: px(place), y1: TOP, y2: H - BOTTOM, class: "grid" });
      svg(drawing, "text", { x: px(place), y: H - BOTTOM + 16, "text-anchor": "middle", class: "tick" }, +place.toPrecision(3));
    }
    for (const place of ticks(y)) {
      svg(drawing, "line", { x1: LEFT, x2: W - RIGHT, y1: py(place), y2: py(place), class: "grid" });
      svg(drawing, "text", { x: LEFT - 6, y: py(place) + 4, "text-anchor": "end", class: "tick" }, +place.toPrecision(3));
    }
    svg(drawing, "path", { d: `M${LEFT} ${TOP}V${H - BOTTOM}H${W - RIGHT}`, fill: "none", class: "axis" });
    svg(drawing, "text", { x: (LEFT + W - RIGHT) / 2, y: H - 8, "text-anchor": "middle" }, x.label);
    svg(drawing, "text", { x: 0, y: 0, transform: `translate(13 ${(TOP + H - BOTTOM) / 2}) rotate(-90)`, "text-anchor": "middle" }, y.label);
    const area = svg(drawing, "g", { "clip-path": `url(#${clip})` });
    for (const points of lines) svg(area, "path", { d: "M" + points.map(([a, b]) => `${px(a)} ${py(b)}`).join("L"), fill: "none", class: "chance" });
    for (const each of [...series].reverse()) {
      if (each.band) {
        const edge = (bound) => each.band.x.map((value, i) => `${px(value).toFixed(1)} ${py(each.band[bound][i]).toFixed(1)}`);
        svg(area, "path", { d: `M${edge("low").join("L")}L${edge("high").reverse().join("L")}Z`, fill: each.color, opacity: 0.17 });
      }
      for (const [at, low, high] of each.bars ?? [])
        if (low !== null) svg(area, "line", { x1: px(at), x2: px(at), y1: py(Math.max(low, y.min)), y2: py(high), stroke: each.color, "stroke-width": 2, opacity: 0.6 });
      let path = "";
      each.x.forEach((value, i) => {
        const a = px(value).toFixed(1), b = py(each.y[i]).toFixed(1);
        path += i === 0 ? `M${a} ${b}` : each.step ? `V${b}H${a}` : `L${a} ${b}`;
      });
      svg(area, "path", { d: path, fill: "none", stroke: each.color, "stroke-width": each.bold ? 3 : 1.6, "stroke-dasharray": each.dash ?? "none", "stroke-linejoin": "round" });
      if (each.dots) each.x.forEach((value, i) => svg(area, "circle", { cx: px(value), cy: py(each.y[i]), r: 3.5, fill: each.color }));
    }
    if (mark) svg(drawing, "circle", { cx: px(mark[0]), cy: py(mark[1]), r: 6, fill: "none", stroke: "var(--ink)", "stroke-width": 2.5 });
    const cursor = svg(drawing, "circle", { r: 5, fill: "var(--ink)", visibility: "hidden" });
    const tip = one(".tip", holder.parentNode);
    let current = [0, -1];
    const read = (line, point) => {
      current = [line, point];
      const { name, note, x: xs, y: ys } = series[line];
      cursor.setAttribute("cx", px(xs[point]));
      cursor.setAttribute("cy", py(ys[point]));
      cursor.setAttribute("visibility", "visible");
      tip.textContent = `${name}: ${x.label.toLowerCase()} ${+xs[point].toPrecision(3)}, ${y.label.toLowerCase()} ${+ys[point].toPrecision(3)}${note ? `, ${note(point)}` : ""}`;
    };
    drawing.addEventListener("pointermove", (event) => {
      const box = drawing.getBoundingClientRect();
      const mx = ((event.clientX - box.left) * W) / box.width, my = ((event.clientY - box.top) * H) / box.height;
      let nearest = Infinity, found;
      series.forEach((each, line) => each.x.forEach((value, point) => {
        const distance = (px(value) - mx) ** 2 + (py(each.y[point]) - my) ** 2;
        if (distance < nearest) [nearest, found] = [distance, [line, point]];
      }));
      if (found) read(...found);
    });
    drawing.addEventListener("keydown", (event) => {
      const along = { ArrowRight: 1, ArrowLeft: -1 }[event.key], over = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if ((!along && !over) || !series.length) return;
      event.preventDefault();
      const line = (current[0] + (over ?? 0) + series.length) % series.length;
      const last = series[line].x.length - 1;
      read(line, Math.min(Math.max(current[1] + (along ?? 0) * (event.shiftKey ? 10 : 1), 0), last));
    });
    holder.replaceChildren(drawing);
  }

  // The curves of the models that are checked; the selected model comes first.
  const models = data.models;
  const colors = new Map(models.map((model, i) => [model.name, `var(--c${i % 7})`]));
  const dashes = ["none", "7 3", "2 3"];
  const shown = new Set(models.filter((model) => data.shown.includes(model.name)).map((model) => model.name));
  const at = { model: models[0], step: 0 };
  const rate = (model, i) => [model.fp[i] / model.negatives, model.tp[i] / model.positives];
  const style = (model) => ({ name: model.name, color: colors.get(model.name), bold: model.name === data.selected, dash: dashes[Math.floor(models.indexOf(model) / 7) % 3], note: (i) => (model.threshold[i] === undefined ? "" : `threshold ${+model.threshold[i].toPrecision(3)}`) });
  function draw() {
    const visible = models.filter((model) => shown.has(model.name));
    const share = (label) => ({ label, min: 0, max: 1 });
    chart(one("[data-chart=roc]"), {
      x: share("False positive rate (1 - specificity)"), y: share("Sensitivity"), label: "ROC curves", lines: [[[0, 0], [1, 1]]],
      mark: shown.has(at.model.name) ? rate(at.model, at.step) : undefined,
      series: visible.map((model) => ({ ...style(model), band: model.bands?.roc, x: model.fp.map((_, i) => rate(model, i)[0]), y: model.tp.map((_, i) => rate(model, i)[1]) })),
    });
    chart(one("[data-chart=precision_recall]"), {
      x: share("Recall (sensitivity)"), y: share("Precision (PPV)"), label: "Precision-recall curves",
      lines: visible.slice(0, 1).map(({ positives, negatives }) => [[0, positives / (positives + negatives)], [1, positives / (positives + negatives)]]),
      series: visible.map((model) => {
        const kept = model.tp.map((_, i) => i).filter((i) => model.tp[i] + model.fp[i] > 0);
        const base = style(model);
        return { ...base, step: true, band: model.bands?.precision_recall, note: (i) => base.note(kept[i]), x: kept.map((i) => model.tp[i] / model.positives), y: kept.map((i) => model.tp[i] / (model.tp[i] + model.fp[i])) };
      }),
    });
    const curves = visible.flatMap((model) => {
      const scales = Object.entries(model.reliability).filter(([scale], _, every) => model.name === data.selected || scale === "calibrated" || every.length === 1);
      return scales.reverse().map(([scale, bins]) => {
        const kept = bins.filter(([predicted, observed]) => predicted > 0 && observed > 0);
        const raw = scale === "raw" && scales.length > 1;
        return { ...style(model), note: undefined, name: raw ? `${model.name} before calibration` : model.name, dots: true, dash: raw ? "2 3" : "none", bold: model.name === data.selected && !raw, x: kept.map((bin) => bin[0]), y: kept.map((bin) => bin[1]), bars: model.name === data.selected && !raw ? kept.map((bin) => [bin[0], bin[2], bin[3]]) : [] };
      });
    });
    const least = Math.min(0.1, ...curves.flatMap((curve) => [...curve.x, ...curve.y])) / 2;
    const log = (label) => ({ label, min: least, max: 1, log: true });
    chart(one("[data-chart=reliability]"), { x: log("Mean predicted probability"), y: log("Observed share of melanomas"), label: "Calibration curves", lines: [[[least, least], [1, 1]]], series: curves });
    const benefits = visible.map((model) => ({ ...style(model), note: undefined, ...model.decision, bars: model.name === data.selected ? model.benefit : [] }));
    if (benefits.length) {
      const { positives, negatives } = visible[0], prevalence = positives / (positives + negatives);
      const everyone = benefits[0].x.map((t) => [t, prevalence - ((1 - prevalence) * t) / (1 - t)]);
      const top = Math.max(prevalence, ...benefits.flatMap((curve) => curve.y)), most = Math.max(...benefits[0].x);
      chart(one("[data-chart=decision]"), { x: { label: "Threshold probability", min: 0, max: most }, y: { label: "Net benefit per image", min: -0.2 * top, max: 1.08 * top }, label: "Decision curves", lines: [everyone, [[0, 0], [most, 0]]], series: benefits });
    }
  }
  function choices() {
    const field = one("#shown-models");
    for (const model of models) {
      const box = element("input", { type: "checkbox", value: model.name });
      box.checked = shown.has(model.name);
      box.addEventListener("change", () => {
        shown[box.checked ? "add" : "delete"](model.name);
        draw();
      });
      const swatch = element("span", { class: "swatch", style: `border-top-color:${colors.get(model.name)};border-top-style:${style(model).dash === "none" ? "solid" : style(model).dash === "7 3" ? "dashed" : "dotted"}` });
      field.append(element("label", {}, box, " ", swatch, model.name === data.selected ? `${model.name} (selected)` : model.name));
    }
  }

  // The threshold: counts and rates of one model, and predictive values at a prevalence.
  function thresholds() {
    const slider = one("#threshold"), choice = one("#threshold-model"), share = one("#prevalence"), rules = one("#threshold-rules");
    for (const model of models) choice.append(element("option", { value: model.name }, model.name === data.selected ? `${model.name} (selected)` : model.name));
    let prevalence = 0; // of the test set, exactly, until another one is typed
    const put = (id, value, text) => {
      const place = document.getElementById(id);
      place.textContent = text;
      place.dataset.value = value;
    };
    const update = () => {
      const { model } = at;
      at.step = model.threshold.length - 1 - slider.value;
      const tp = model.tp[at.step], fp = model.fp[at.step], fn = model.positives - tp, tn = model.negatives - fp;
      const sensitivity = tp / (tp + fn), specificity = tn / (tn + fp);
      const p = prevalence, called = sensitivity * p + (1 - specificity) * (1 - p);
      const ppv = called > 0 ? (sensitivity * p) / called : NaN;
      const npv = called < 1 ? (specificity * (1 - p)) / (1 - called) : NaN;
      const threshold = model.threshold[at.step];
      put("at-threshold", threshold, threshold.toPrecision(3));
      for (const [id, value] of Object.entries({ sensitivity, specificity, ppv, npv })) put(id, value, fixed(value));
      for (const [id, value] of Object.entries({ tp, fp, fn, tn })) put(id, value, value.toLocaleString("en-US"));
      put("needed", 1 / ppv, ppv > 0 ? fixed(1 / ppv, 1) : "undefined");
      const found = Math.round(100 * sensitivity), alarms = Math.round(100 * (1 - specificity));
      const rules = Object.keys(model.rules).filter((rule) => model.rules[rule] === threshold), reached = model.reached[rules[0]];
      const interval = reached && reached.low !== null ? ` [${fixed(reached.low)}, ${fixed(reached.high)}]` : "";
      const names = rules.map((rule) => data.rules[rule]).join(", ");
      const selected = names && ` This threshold was selected out of fold (${names}). Its sensitivity on the test set is ${fixed(sensitivity)}${interval}.`;
      one("#in-words").textContent = `Of 100 melanomas, ${found} are found and ${100 - found} are missed. Of 100 benign lesions, ${alarms} are called melanoma.${selected}`;
      slider.setAttribute("aria-valuetext", `threshold ${threshold.toPrecision(3)}, sensitivity ${fixed(sensitivity)}, specificity ${fixed(specificity)}`);
    };
    const move = (threshold) => {
      // The lowest threshold that is not below the rule's calls the same images melanoma.
      slider.value = at.model.threshold.length - 1 - at.model.threshold.findLastIndex((each) => each >= threshold);
      update();
      draw();
    };
    const select = () => {
      at.model = models.find((model) => model.name === choice.value);
      slider.max = at.model.threshold.length - 1;
      prevalence = at.model.positives / (at.model.positives + at.model.negatives);
      share.value = +(100 * prevalence).toPrecision(4);
      rules.replaceChildren(...Object.entries(at.model.rules).map(([rule, threshold]) => {
        const button = element("button", { type: "button" }, data.rules[rule] ?? rule);
        button.addEventListener("click", () => move(threshold));
        return button;
      }));
      const first = at.model.rules[data.rule];
      move(first ?? at.model.threshold[Math.floor(at.model.threshold.length / 2)]);
    };
    let waiting = 0;
    slider.addEventListener("input", () => {
      update();
      cancelAnimationFrame(waiting);
      waiting = requestAnimationFrame(draw);
    });
    share.addEventListener("input", () => {
      prevalence = share.value / 100;
      update();
    });
    choice.addEventListener("change", select);
    select();
  }

  function learning() {
    const choice = one("#learning-model");
    for (const model of Object.keys(data.learning)) choice.append(element("option", {}, model));
    const show = () => {
      const runs = Object.entries(data.learning[choice.value]);
      const most = Math.max(2, ...runs.flatMap(([, run]) => run.epoch));
      const lines = (column, suffix, dash) => runs.map(([run, history], i) => {
        const kept = history.epoch.map((_, k) => k).filter((k) => history[column][k] !== null);
        return { name: `${run}${suffix}`, color: `var(--c${i % 7})`, dash, x: kept.map((k) => history.epoch[k]), y: kept.map((k) => history[column][k]) };
      }).filter((line) => line.x.length);
      const losses = [...lines("validation_loss", ", validation", "none"), ...lines("train_loss", ", training", "4 3")];
      const areas = [...lines("validation_auroc", ", validation", "none"), ...lines("train_auroc", ", training", "4 3")], values = losses.flatMap((line) => line.y), lowest = Math.min(0.9, ...areas.flatMap((line) => line.y));
      const epochs = { label: "Epoch", min: 1, max: most, whole: true };
      chart(one("[data-chart=loss]"), { x: epochs, y: { label: "Loss", min: 0, max: 1.05 * Math.max(...values) }, label: "Loss by epoch", series: losses });
      chart(one("[data-chart=auroc]"), { x: epochs, y: { label: "AUROC", min: Math.floor(lowest * 10) / 10, max: 1 }, label: "AUROC by epoch", series: areas });
    };
    choice.addEventListener("change", show);
    window.addEventListener("resize", show);
    show();
  }

  // Pictures: each is embedded once, and drawn where it is named.
  const fill = (parent) => all("img[data-thumbnail]", parent).forEach((image) => (image.src = `data:image/webp;base64,${data.thumbnails[image.dataset.thumbnail]}`));
  function patients() {
    const choice = one("#patient");
    data.patients.forEach((patient, i) => choice.append(element("option", { value: i }, `${patient.name}: ${patient.total} images, ${patient.melanomas} melanomas`)));
    const show = () => {
      const list = one("#patient-images");
      list.replaceChildren(...data.patients[choice.value].images.map((item, i) => {
        const what = item.melanoma ? "melanoma" : "benign";
        const row = element("li", {}, element("b", { class: what }, `${i + 1}. ${what}, ${item.probability.toFixed(3)}`), item.name, element("br"), item.about);
        if (item.thumbnail !== null) row.prepend(element("img", { "data-thumbnail": item.thumbnail, alt: `${what}, rank ${i + 1}` }));
        return row;
      }));
      fill(list);
    };
    choice.addEventListener("change", show);
    show();
  }

  all("table.sortable").forEach(sortable);
  if (models.length) {
    choices();
    thresholds();
    draw();
    window.addEventListener("resize", draw);
  }
  if (Object.keys(data.learning).length) learning();
  fill(document);
  if (data.patients.length) patients();
  document.documentElement.dataset.ready = "yes";
})();
