"use strict";

// Listens to what has changed, and has the parts of the page that show it asked for anew:
// an element with data-live="event clock …" is concerned by changes of these kinds, with data-site only there.
(() => {
  const REST_MS = 700; // a part is asked for no more often than this
  const dirty = new Set();
  const busy = new WeakMap(); // part → when it may be asked for again
  let instance = null;
  let source = null;

  const parts = () => document.querySelectorAll("[data-live]");

  // --- the connection ---

  function say(state, words) {
    const line = document.getElementById("line");
    line.className = `connection ${state}`;
    if (line.lastElementChild.textContent !== words) line.lastElementChild.textContent = words;
  }

  function connect() {
    source = new EventSource(document.body.dataset.stream);
    source.addEventListener("hello", (message) => {
      const found = JSON.parse(message.data).instance;
      if (instance !== null) all(); // something may have been missed
      if (instance !== null && instance !== found) tell(["The sandbox was started anew."]);
      instance = found;
      say("live", "live");
    });
    source.addEventListener("tick", (message) => tick(JSON.parse(message.data)));
    source.addEventListener("error", () => {
      say("lost", "reconnecting");
      if (source.readyState === EventSource.CLOSED) setTimeout(connect, 1000);
    });
  }

  function tick(told) {
    show(told.clock);
    const behind = document.getElementById("behind");
    behind.hidden = !told.behind;
    if (behind.textContent !== told.behind) behind.textContent = told.behind;
    for (const part of parts()) {
      const site = part.dataset.site;
      const concerned = part.dataset.live.split(" ").some((kind) => {
        if (!(kind in told.changed)) return false;
        const sites = told.changed[kind];
        return !site || sites === null || sites.includes(site);
      });
      if (concerned) dirty.add(part);
    }
    tell(told.told);
    flush();
  }

  function all() {
    for (const part of parts()) dirty.add(part);
    flush();
  }

  // --- parts ---

  function isInUse(part) {
    const follow = part.dataset.follow && document.getElementById(part.dataset.follow);
    if (follow && !follow.checked) return true;
    const focused = document.activeElement;
    if (part.contains(focused) && focused.matches("input, select, textarea")) return true;
    const selection = getSelection();
    return !selection.isCollapsed && part.contains(selection.anchorNode);
  }

  function flush() {
    if (document.hidden) return;
    const now = performance.now();
    for (const part of [...dirty]) {
      if (!part.isConnected) dirty.delete(part);
      else if (now >= (busy.get(part) || 0) && !isInUse(part)) {
        dirty.delete(part);
        busy.set(part, Infinity);
        const free = () => busy.set(part, performance.now() + REST_MS);
        if (part.dataset.chart) charts.draw(part).then(free, free);
        else htmx.trigger(part, "live");
      }
    }
  }

  document.addEventListener("htmx:afterRequest", (event) => {
    const part = event.detail.elt;
    if (part.dataset && part.dataset.live) busy.set(part, performance.now() + REST_MS);
  });
  document.addEventListener("visibilitychange", flush);
  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", (event) => { if (event.persisted) connect(); });
  setInterval(flush, 350);

  // What was unfolded stays unfolded.
  let open = [];
  document.addEventListener("htmx:beforeSwap", (event) => {
    open = [...event.detail.target.querySelectorAll("details[open][id]")].map((one) => one.id);
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    for (const id of open) {
      const found = document.getElementById(id);
      if (found) found.open = true;
    }
    if (event.detail.target.id === "exchange") reach(event.detail.target);
  });

  // Who chose a line reads on beside it; on a phone, below it.
  function reach(part) {
    part.focus({ preventScroll: true });
    const { top } = part.getBoundingClientRect();
    if (top < 0 || top > innerHeight / 2) part.scrollIntoView({ block: "start" });
  }

  // --- what is told to people ---

  function tell(sentences) {
    const place = document.getElementById("told");
    for (const sentence of sentences) {
      const told = document.createElement("p");
      told.textContent = sentence;
      place.append(told);
      setTimeout(() => told.remove(), 5000);
    }
    while (place.children.length > 3) place.firstElementChild.remove();
  }

  function problem(words) {
    const place = document.getElementById("problem");
    place.textContent = words;
    place.hidden = !words;
  }

  document.addEventListener("htmx:beforeRequest", (event) => {
    if (!event.detail.elt.dataset.live) problem("");
  });
  document.addEventListener("htmx:responseError", (event) => {
    if (!event.detail.elt.dataset.live) problem(event.detail.xhr.responseText || `The sandbox answered ${event.detail.xhr.status}.`);
  });
  document.addEventListener("htmx:sendError", (event) => {
    if (!event.detail.elt.dataset.live) problem("The sandbox does not answer.");
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    const xhr = event.detail.xhr;
    const isWords = (xhr.getResponseHeader("Content-Type") || "").startsWith("text/plain");
    if (event.detail.successful && isWords && xhr.responseText) tell([xhr.responseText]);
  });

  // --- the clock, which runs here too between two ticks ---

  let shown = null;

  function show(clock) {
    shown = { at: Date.parse(clock.now), speed: clock.speed, since: performance.now() };
    run();
  }

  function run() {
    const face = document.getElementById("clock");
    if (!face) return;
    if (shown === null) shown = { at: Date.parse(face.dateTime), speed: Number(face.dataset.speed), since: performance.now() };
    const at = new Date(shown.at + (performance.now() - shown.since) * shown.speed);
    const text = at.toISOString().slice(0, 19).replace("T", " ");
    if (face.textContent !== text) face.textContent = text;
  }

  setInterval(run, 250);

  // --- colours follow the system ---

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const figure of document.querySelectorAll("[data-chart]")) {
      charts.forget(figure);
      charts.draw(figure);
    }
  });

  for (const figure of document.querySelectorAll("[data-chart]")) {
    charts.draw(figure).catch((error) => problem(`The chart could not be drawn: ${error.message}`));
  }
  connect();
})();
