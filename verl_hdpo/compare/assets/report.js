"use strict";
const tip = document.getElementById("tip");
function show(link, x, y) {
  tip.textContent = decodeURIComponent(link.getAttribute("xlink:href").slice(1));
  tip.style.display = "block";
  tip.style.left = Math.max(4, Math.min(x + 12, innerWidth - tip.offsetWidth - 4)) + "px";
  tip.style.top = Math.max(4, y - tip.offsetHeight - 10) + "px";
}
for (const link of document.querySelectorAll("svg a")) {
  const at = () => link.getBoundingClientRect();
  link.addEventListener("pointermove", event => show(link, event.clientX, event.clientY));
  link.addEventListener("focus", () => show(link, at().x, at().y));
  for (const leaves of ["pointerleave", "blur"]) link.addEventListener(leaves, () => { tip.style.display = "none"; });
  link.addEventListener("click", event => { event.preventDefault(); show(link, event.clientX || at().x, event.clientY || at().y); });
}
for (const head of document.querySelectorAll("th button")) {
  head.addEventListener("click", () => {
    const cell = head.parentElement, body = cell.closest("table").tBodies[0];
    const down = cell.getAttribute("aria-sort") === "ascending";
    for (const other of cell.parentElement.children) other.removeAttribute("aria-sort");
    cell.setAttribute("aria-sort", down ? "descending" : "ascending");
    const value = row => row.cells[cell.cellIndex].dataset.value;
    const order = (a, b) => isNaN(a) || isNaN(b) || a === "" || b === "" ? a.localeCompare(b) : a - b;
    const rows = [...body.rows].sort((a, b) => (down ? -1 : 1) * order(value(a), value(b)));
    body.append(...rows);
  });
}
document.documentElement.dataset.readyMs = Math.round(performance.now()) || 1;
