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

  // The curves of the models that are checked; the selected model comes first.
  const models = data.models;
  const colors = new Map(models.map((model, i) => [model.name, `var(--c${i % 7})`]));
  const dashes = [undefined, "7 3", "2 3"];
  const shown = new Set(models.filter((model) => data.shown.includes(model.name)).map((model) => model.name));
  const at = { model: models[0], step: 0 };
  const rate = (model, i) => [model.fp[i] / model.negatives, model.tp[i] / model.positives];
  const style = (model) => ({ name: model.name, color: colors.get(model.name), bold: model.name === data.selected, dash: dashes[Math.floor(models.indexOf(model) / 7) % 3], note: (i) => `threshold ${+model.threshold[i].toPrecision(3)}` });
  const visible = () => models.filter((model) => shown.has(model.name));
  const share = (label) => ({ label, domain: [0, 1] });
  const prevalence = ({ positives, negatives }) => positives / (positives + negatives);

  function roc() {
    const series = visible().map((model) => ({ ...style(model), band: model.bands?.roc, x: model.fp.map((_, i) => rate(model, i)[0]), y: model.tp.map((_, i) => rate(model, i)[1]) }));
    const mark = shown.has(at.model.name) ? rate(at.model, at.step) : undefined;
    return { x: share("False positive rate (1 - specificity)"), y: share("Sensitivity"), label: "ROC curves", lines: [[[0, 0], [1, 1]]], mark, series };
  }
  function precisionRecall() {
    const series = visible().map((model) => {
      const kept = model.tp.map((_, i) => i).filter((i) => model.tp[i] + model.fp[i] > 0), base = style(model);
      return { ...base, step: true, band: model.bands?.precision_recall, note: (i) => base.note(kept[i]), x: kept.map((i) => model.tp[i] / model.positives), y: kept.map((i) => model.tp[i] / (model.tp[i] + model.fp[i])) };
    });
    const lines = visible().slice(0, 1).map(prevalence).map((chance) => [[0, chance], [1, chance]]);
    return { x: share("Recall (sensitivity)"), y: share("Precision (PPV)"), label: "Precision-recall curves", lines, series };
  }
  // The selected model is shown before and after its calibration, the others after it.
  function calibration() {
    const series = visible().flatMap((model) => {
      const selected = model.name === data.selected;
      const scales = Object.entries(model.reliability).filter(([scale], _, every) => selected || scale === "calibrated" || every.length === 1);
      return scales.reverse().map(([scale, bins]) => {
        const kept = bins.filter(([predicted, observed]) => predicted > 0 && observed > 0);
        const raw = scale === "raw" && scales.length > 1, bold = selected && !raw;
        // An interval from 0 starts below a logarithmic axis.
        const intervals = kept.filter((bin) => bin[2] !== null).map(([predicted, , low, high]) => [predicted, Math.max(low, 1e-9), high]);
        return { ...style(model), note: undefined, name: raw ? `${model.name} before calibration` : model.name, dots: true, dash: raw ? "2 3" : undefined, bold, x: kept.map((bin) => bin[0]), y: kept.map((bin) => bin[1]), bars: bold ? intervals : [] };
      });
    });
    const least = Math.min(0.1, ...series.flatMap(({ x, y }) => [...x, ...y])) / 2;
    const log = (label) => ({ label, domain: [least, 1], type: "log", ticks: Math.ceil(-Math.log10(least)), tickFormat: "~r" });
    return { x: log("Mean predicted probability"), y: log("Observed share of melanomas"), label: "Calibration curves", lines: [[[least, least], [1, 1]]], series };
  }
  function decision() {
    const series = visible().map((model) => ({ ...style(model), note: undefined, ...model.decision, bars: model.name === data.selected ? model.benefit.filter((bar) => bar[1] !== null) : [] }));
    const chance = prevalence(models[0]), top = Math.max(chance, ...series.flatMap(({ y }) => y)), { x: thresholds } = models[0].decision;
    const everyone = thresholds.map((t) => [t, chance - ((1 - chance) * t) / (1 - t)]), most = Math.max(...thresholds);
    return { x: { label: "Threshold probability", domain: [0, most] }, y: { label: "Net benefit per image", domain: [-0.2 * top, 1.08 * top] }, label: "Decision curves", lines: [everyone, [[0, 0], [most, 0]]], series };
  }
  function draw() {
    for (const [name, describe] of Object.entries({ roc, precision_recall: precisionRecall, reliability: calibration, decision })) showChart(name, describe);
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
      const swatch = element("span", { class: "swatch", style: `border-top-color:${colors.get(model.name)};border-top-style:${["solid", "dashed", "dotted"][dashes.indexOf(style(model).dash)]}` });
      const name = model.name === data.selected ? `${model.name} (selected)` : model.name;
      field.append(element("label", {}, box, swatch, element("span", {}, ...breakable(name))));
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
    slider.addEventListener("input", () => {
      update();
      showChart("roc", roc);
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
    const run = (column, suffix, dash) => Object.entries(data.learning[choice.value]).map(([name, history], i) => {
      const kept = history.epoch.map((_, k) => k).filter((k) => history[column][k] !== null);
      return { name: `${name}${suffix}`, color: `var(--c${i % 7})`, dash, x: kept.map((k) => history.epoch[k]), y: kept.map((k) => history[column][k]) };
    }).filter((line) => line.x.length);
    const chart = (name, label, bounds) => () => {
      const series = [...run(`validation_${name}`, ", validation"), ...run(`train_${name}`, ", training", "4 3")];
      const most = Math.max(2, ...Object.values(data.learning[choice.value]).flatMap(({ epoch }) => epoch));
      const x = { label: "Epoch", domain: [1, most], ticks: Math.min(5, most - 1), tickFormat: "d" };
      return { x, y: { label, domain: bounds(series.flatMap(({ y }) => y)) }, label: `${label} by epoch`, series };
    };
    const show = () => {
      showChart("loss", chart("loss", "Loss", (values) => [0, 1.05 * Math.max(...values)]));
      showChart("auroc", chart("auroc", "AUROC", (values) => [Math.floor(10 * Math.min(0.9, ...values)) / 10, 1]));
    };
    choice.addEventListener("change", show);
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
  }
  if (Object.keys(data.learning).length) learning();
  fill(document);
  if (data.patients.length) patients();
  document.documentElement.dataset.ready = "yes";
})();
