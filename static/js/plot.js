// Plots of numbers over time: <div data-plot="/series/…" data-label="…">. Colours follow the theme; new numbers come every 15 s.
(() => {
  "use strict";
  const REFRESH_MS = 15000;
  const HEIGHT = 150;

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  function options(place) {
    const axis = { stroke: colour("--fu-dim"), grid: { stroke: colour("--fu-line"), width: 1 }, ticks: { show: false }, font: "11px sans-serif" };
    return {
      width: place.clientWidth,
      height: HEIGHT,
      legend: { show: false },
      cursor: { y: false },
      scales: { y: { range: (_plot, _low, high) => [0, Math.max(1, high * 1.1)] } },
      axes: [axis, { ...axis, size: 44 }],
      series: [{}, { stroke: colour("--fu-accent-text"), fill: colour("--fu-accent-soft"), width: 1.5, points: { show: false } }],
    };
  }

  for (const place of document.querySelectorAll("[data-plot]")) {
    let plot = null;
    let numbers = null;

    function draw() {
      plot?.destroy();
      plot = new uPlot(options(place), numbers, place);
    }

    async function refresh() {
      const answer = await fetch(place.dataset.plot).catch(() => null);
      if (!answer || !answer.ok) return;
      const series = await answer.json();
      numbers = [series.at, series.changes];
      const sum = Math.round(series.changes.reduce((total, value) => total + value, 0));
      place.setAttribute("aria-label", `${place.dataset.label}: ${sum}`);
      if (plot) plot.setData(numbers); else draw();
    }

    refresh();
    setInterval(refresh, REFRESH_MS);
    new ResizeObserver(() => plot?.setSize({ width: place.clientWidth, height: HEIGHT })).observe(place);
    new MutationObserver(() => numbers && draw()).observe(document.documentElement, { attributeFilter: ["data-bs-theme"] });
  }
})();
