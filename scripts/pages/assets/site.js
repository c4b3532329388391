// Comforts only; everything on the site can be read without them.

// The ledger of evidence: show the rows that match.
for (const form of document.querySelectorAll("form.filter")) {
  const rows = [...document.querySelectorAll(`#${form.dataset.filter} tbody tr`)];
  const show = () => {
    const words = form.elements.words.value.toLowerCase().split(/\s+/);
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !(
        words.every(word => text.includes(word)) &&
        (!form.elements.status.value || row.dataset.status === form.elements.status.value) &&
        (!form.elements.area.value || row.dataset.area === form.elements.area.value)
      );
      shown += !row.hidden;
    }
    form.querySelector("output").textContent = `${shown} of ${rows.length}`;
  };
  form.addEventListener("input", show);
  form.addEventListener("submit", event => event.preventDefault());
  form.hidden = false;
  show();
}

// Evidence: Escape closes, and so does a click elsewhere.
const closeEvidence = except => {
  for (const open of document.querySelectorAll("details.evidence[open]")) if (open !== except) open.open = false;
};
addEventListener("keydown", event => {
  if (event.key !== "Escape") return;
  closeEvidence();
  // Shown by hover only: be quiet until the pointer has left.
  const hovered = document.querySelector("details.evidence:hover");
  hovered?.classList.add("quiet");
  hovered?.addEventListener("pointerleave", () => hovered.classList.remove("quiet"), { once: true });
});
addEventListener("click", event => closeEvidence(event.target.closest("details.evidence")));
