"use strict";
// Charts by Observable Plot. A chart is drawn when it comes near the view or before a print. Its points are read with the
// mouse, with the arrow keys, or in a table.

// The parts of a text that may be broken after an underscore. Long names of models would be broken anywhere.
const breakable = (text) => text.split(/(?<=_)/).flatMap((part, i) => (i ? [document.createElement("wbr"), part] : [part]));

const showChart = (() => {
  const known = new Map(); // by holder: the function that describes its chart
  const waiting = new Set(); // holders whose chart has changed since it was drawn
  const near = new IntersectionObserver((seen) => seen.forEach((each) => each.isIntersecting && draw(each.target)), { rootMargin: "50% 0px" });
  window.addEventListener("beforeprint", () => waiting.forEach(draw));
  window.addEventListener("resize", () => [...known.keys()].forEach(wait));

  function show(name, describe) {
    const holder = document.querySelector(`[data-chart=${name}]`);
    if (!holder) return; // a shareable report lacks some charts
    known.set(holder, describe);
    wait(holder);
  }

  function wait(holder) {
    waiting.add(holder);
    near.unobserve(holder); // observed anew, it is drawn at once if it is in view
    near.observe(holder);
  }

  function draw(holder) {
    near.unobserve(holder);
    waiting.delete(holder);
    const chart = known.get(holder)(), figure = holder.parentNode;
    const points = chart.series.flatMap(({ x, y }, line) => x.map((value, place) => ({ line, place, x: value, y: y[place] })));
    const width = Math.min(Math.max(holder.clientWidth - 30, 260), 640);
    const frame = { width, height: Math.round(0.78 * width), marginLeft: 62, marginRight: 14, marginTop: 12, marginBottom: 44 };
    const axis = { labelAnchor: "center", labelArrow: "none", grid: true, line: true };
    const pointer = Plot.dot(points, Plot.pointer({ x: "x", y: "y", maxRadius: Infinity, fill: "none", stroke: "none" }));
    const plot = Plot.plot({ ...frame, clip: true, x: { ...axis, ...chart.x }, y: { ...axis, tickSpacing: 60, ...chart.y }, marks: [...marks(chart), pointer] });
    unlabel(plot);
    d3.select(plot).attr("role", "img").attr("tabindex", 0).attr("aria-label", `${chart.label}. Use the arrow keys to read its points.`);
    readable(plot, frame, chart, points, figure.querySelector(".tip"));
    holder.replaceChildren(plot);
    tabulate(figure, chart, points);
  }

  // The first series is drawn last, so it lies above the others.
  function marks({ series, lines = [], mark }) {
    return [
      lines.map((points) => Plot.line(points, { stroke: "var(--soft)", strokeWidth: 1, strokeDasharray: "3 3" })),
      [...series].reverse().map(({ x, y, color, bold, dash, step, dots, band, bars = [] }) => [
        band && Plot.areaY(band.x, { x: band.x, y1: band.low, y2: band.high, fill: color, fillOpacity: 0.17 }),
        Plot.ruleX(bars, { x: "0", y1: "1", y2: "2", stroke: color, strokeWidth: 2, strokeOpacity: 0.6 }),
        Plot.line(x, { x, y, stroke: color, strokeWidth: bold ? 3 : 1.6, strokeDasharray: dash, curve: step ? "step-before" : "linear" }),
        dots && Plot.dot(x, { x, y, r: 3.5, fill: color }),
      ]),
      mark && Plot.dot([mark], { r: 6, stroke: "currentColor", strokeWidth: 2.5, clip: false }),
    ];
  }

  // The chart has one name. Plot also names its parts, which ARIA forbids for elements without a role.
  const unlabel = (plot) => d3.select(plot).selectAll("[aria-label]").attr("aria-label", null);
  const short = ({ label }) => label.replace(/ \(.*\)/, "");
  const round = (value) => +value.toPrecision(3);

  // Plot names the point under the mouse. The arrow keys go along a series, and up and down to the others.
  function readable(plot, frame, { x, y, series }, points, status) {
    const scales = { x: { ...plot.scale("x"), axis: null }, y: { ...plot.scale("y"), axis: null } };
    let at = { line: 0, place: -1 }, shown;
    function read(point) {
      shown?.remove();
      if (!point) return;
      at = point;
      const { name, note } = series[point.line];
      const text = [name, `${short(x)} ${round(point.x)}`, `${short(y)} ${round(point.y)}`, ...(note ? [note(point.place)] : [])];
      const lineWidth = frame.width / 28, most = Math.floor(1.6 * lineWidth); // em, and about as many characters
      const lines = [...name.match(new RegExp(`.{1,${most}}(?:[_ ]|$)|.{1,${most}}`, "g")), ...text.slice(1)];
      const tip = { x: "x", y: "y", title: () => lines.join("\n"), lineWidth };
      shown = Plot.plot({ ...frame, ...scales, marks: [Plot.dot([point], { x: "x", y: "y", r: 5, fill: "currentColor" }), Plot.tip([point], tip)] });
      plot.append(shown);
      unlabel(plot);
      status.textContent = text.join(", ");
    }
    plot.addEventListener("input", () => read(plot.value));
    plot.addEventListener("keydown", (event) => {
      const along = { ArrowRight: 1, ArrowLeft: -1 }[event.key] ?? 0, over = { ArrowDown: 1, ArrowUp: -1 }[event.key] ?? 0;
      if ((!along && !over) || !series.length) return;
      event.preventDefault();
      const line = (at.line + over + series.length) % series.length, last = series[line].x.length - 1;
      const place = Math.min(Math.max(at.place + along * (event.shiftKey ? 10 : 1), 0), last);
      read(points.find((point) => point.line === line && point.place === place));
    });
  }

  // The points as a table, which is written when it is opened.
  function tabulate(figure, { x, y, label, series }, points) {
    const before = figure.querySelector("details");
    const details = d3.create("details").attr("class", "long").property("open", Boolean(before?.open));
    details.append("summary").text(`${label} as a table`);
    details.on("toggle", () => {
      details.select("div").remove();
      const table = details.append("div").attr("class", "scroll numbers").attr("role", "region").attr("tabindex", 0).attr("aria-label", label).append("table");
      table.append("thead").append("tr").selectAll("th").data(["Curve", x.label, y.label]).join("th").attr("scope", "col").text(String);
      table.append("tbody").selectAll("tr").data(points).join("tr").selectAll("td").data((point) => [series[point.line].name, round(point.x), round(point.y)]).join("td").each(function (value) {
        this.append(...breakable(String(value)));
      });
    });
    if (before) before.replaceWith(details.node());
    else figure.append(details.node());
  }
  return show;
})();
