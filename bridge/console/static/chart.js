// The chart of an endpoint's last hour. Its data is an attribute of the element; its colors are those of the page.
"use strict";

(() => {
  const place = document.querySelector("[data-chart]");
  if (!place || typeof uPlot === "undefined") return;
  const data = JSON.parse(place.dataset.chart);
  let chart = null;
  // Canvas needs a plain color, so an element resolves what the style sheet has for the theme.
  const color = (name) => {
    const probe = document.createElement("span");
    probe.style.color = `var(${name})`;
    place.append(probe);
    const value = getComputedStyle(probe).color;
    probe.remove();
    return value;
  };
  const draw = () => {
    if (chart) chart.destroy();
    const [quiet, line] = [color("--quiet"), color("--line")];
    const axis = { stroke: quiet, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 }, font: "12px system-ui, sans-serif" };
    const bars = uPlot.paths.bars({ size: [0.7, 14] });
    const narrow = place.clientWidth < 500;
    chart = new uPlot({
      width: place.clientWidth,
      height: 210,
      tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
      cursor: { drag: { x: false, y: false } },
      legend: { live: true },
      scales: { y: { range: (u, min, max) => [0, Math.max(1, max * 1.1)] }, ms: { range: (u, min, max) => [0, Math.max(1, (max || 1) * 1.1)] } },
      axes: [
        { ...axis, values: (u, at) => at.map((s) => new Date(s * 1000).toISOString().slice(11, 16)) },
        { ...axis, size: 44 },
        { ...axis, side: 1, scale: "ms", size: narrow ? 48 : 60, grid: { show: false }, values: (u, ms) => ms.map((one) => `${one} ms`) },
      ],
      series: [
        { label: "UTC", value: (u, s) => (s === null ? "–" : new Date(s * 1000).toISOString().slice(11, 16)) },
        // All attempts first, then the delivered ones in front: what is left to see of the first are the failed.
        { label: "failed", stroke: color("--bad"), fill: color("--bad"), paths: bars, points: { show: false }, value: (u, total, series, at) => (at === null ? "–" : String((total || 0) - (data[2][at] || 0))) },
        { label: "delivered", stroke: color("--accent-fill"), fill: color("--accent-fill"), paths: bars, points: { show: false }, value: (u, count) => (count === null ? "0" : String(count)) },
        { label: "median latency", scale: "ms", stroke: color("--warn"), width: 1.5, points: { show: false }, value: (u, ms) => (ms === null ? "–" : `${Math.round(ms)} ms`) },
      ],
    }, data, place);
  };
  draw();
  let width = place.clientWidth;
  new ResizeObserver(() => { if (place.clientWidth !== width) { width = place.clientWidth; draw(); } }).observe(place);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
})();
