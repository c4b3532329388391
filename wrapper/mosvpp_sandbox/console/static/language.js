"use strict";

// uPlot asks for the browser's language while it loads, and fails with one that is none, such as the en-US@posix
// of a browser on a machine whose language is C.
try {
  new Intl.NumberFormat(navigator.language);
} catch {
  Object.defineProperty(navigator, "language", { value: document.documentElement.lang });
}
