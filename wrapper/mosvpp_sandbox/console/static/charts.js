"use strict";

// Draws a figure with data-chart from the numbers behind that address, and again when they may have changed.
const charts = (() => {
  const drawn = new WeakMap();
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const two = (number) => String(number).padStart(2, "0");

  function times(plot, marks) {
    const { min, max } = plot.scales.x;
    return marks.map((mark) => {
      if (mark - min > 0.97 * (max - min)) return ""; // it would be cut off
      const at = new Date(mark * 1000);
      const midnight = at.getUTCHours() === 0 && at.getUTCMinutes() === 0;
      return midnight ? `${two(at.getUTCDate())}.${two(at.getUTCMonth() + 1)}.` : `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}`;
    });
  }

  function marks(told) {
    const found = [];
    for (let at = Math.ceil(told.begin / told.step) * told.step; at <= told.end; at += told.step) found.push(at);
    return found;
  }

  function present(now) {
    return (plot) => {
      const x = plot.valToPos(now(), "x", true);
      const { left, top, width, height } = plot.bbox;
      if (x < left || x > left + width) return;
      plot.ctx.save();
      plot.ctx.strokeStyle = colour("--failed");
      plot.ctx.lineWidth = 1.5 * devicePixelRatio;
      plot.ctx.beginPath();
      plot.ctx.moveTo(x, top);
      plot.ctx.lineTo(x, top + height);
      plot.ctx.stroke();
      plot.ctx.restore();
    };
  }

  function line(one) {
    const asked = one.style === "asked";
    return {
      label: one.label,
      stroke: colour(`--${one.style}`),
      fill: one.style === "given" ? colour("--given-area") : undefined,
      width: asked || one.style === "grid" ? 1.5 : 2,
      dash: asked ? [6, 4] : undefined,
      paths: one.stepped ? uPlot.paths.stepped({ align: -1 }) : undefined,
      points: { show: false },
      value: (_plot, value) => (value === null || value === undefined ? "" : `${value.toFixed(2)} ${one.unit}`),
    };
  }

  function made(figure, told) {
    const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
    const state = { told };
    const isSmall = figure.classList.contains("small");
    state.plot = new uPlot(
      {
        width: inner(figure),
        height: isSmall ? 120 : 200,
        padding: [8, 12, 0, 0],
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
        cursor: { drag: { x: false, y: false } },
        legend: { show: !isSmall, live: true },
        scales: {
          x: { time: true, range: () => [state.told.begin, state.told.end] },
          y: { range: (_plot, low, high) => range(low, high, isSmall) },
        },
        axes: [{ ...axis, values: times, size: 28, splits: isSmall ? undefined : () => marks(state.told) }, { ...axis, size: 56, gap: 6, space: isSmall ? 30 : 36 }],
        series: [{ value: (_plot, at) => (at ? new Date(at * 1000).toISOString().slice(11, 16) : ""), label: "at" }, ...told.series.map(line)],
        hooks: { draw: [present(() => state.told.now)] },
      },
      values(told),
      figure,
    );
    return state;
  }

  // A power chart contains zero; a metric may not need it. Neither is flat on its edge.
  function range(low, high, isSmall) {
    if (low === null || high === null) return [0, 1];
    if (!isSmall) { low = Math.min(0, low); high = Math.max(0, high); }
    if (low === high && low >= 0 && low <= 1) return [0, 1]; // nothing, or a switch that stayed as it is
    const room = (high - low) * 0.1 || Math.max(Math.abs(high) * 0.05, 0.5);
    return [low === 0 && !isSmall ? 0 : low - room, high === 0 && !isSmall && low < 0 ? 0 : high + room];
  }

  const values = (told) => [told.at, ...told.series.map((one) => one.values)];

  function inner(figure) {
    const style = getComputedStyle(figure);
    return figure.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
  }

  function forget(figure) {
    const state = drawn.get(figure);
    if (state) state.plot.destroy();
    drawn.delete(figure);
  }

  async function draw(figure) {
    const answer = await fetch(figure.dataset.chart);
    if (!answer.ok) throw new Error(await answer.text());
    const told = await answer.json();
    const name = figure.dataset.name || (figure.dataset.name = figure.getAttribute("aria-label"));
    figure.setAttribute("aria-label", `${name}: ${told.summary}`);
    const state = drawn.get(figure);
    if (state && state.told.series.length === told.series.length) {
      state.told = told;
      state.plot.setData(values(told));
    } else {
      forget(figure);
      drawn.set(figure, made(figure, told));
    }
  }

  new ResizeObserver(() => {
    for (const figure of document.querySelectorAll("[data-chart]")) {
      const state = drawn.get(figure);
      if (state) state.plot.setSize({ width: inner(figure), height: state.plot.height });
    }
  }).observe(document.documentElement);

  return { draw, forget };
})();
