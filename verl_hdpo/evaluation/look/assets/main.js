// What happens when.

async function refresh() {
  const rows = await chosenRows();
  const known = rows.filter((row) => row.outcome === "correct" || row.outcome === "wrong").length;
  const right = rows.filter((row) => row.outcome === "correct").length;
  const called = rows.filter((row) => row.calls > 0).length;
  const share = (part, whole) => (whole ? `${(100 * part / whole).toFixed(1)} %` : "–");
  document.getElementById("summary").textContent =
    `${rows.length.toLocaleString("en")} of ${store.rows.length.toLocaleString("en")} rollouts · ${share(right, known)} of the known right · ${share(called, rows.length)} called a tool`;
  for (const button of document.querySelectorAll("#kinds button")) button.setAttribute("aria-pressed", String(button.dataset.kind === filters.kind));
  showList(rows);
  document.documentElement.dataset.shown = rows.length;
  const wanted = document.getElementById("search").value;
  if (list.picked && wanted !== list.wanted) showDetail(list.picked); // the words found are marked in it
  list.wanted = wanted;
}

function pick(row) {
  if (!row) return;
  list.picked = row;
  const hash = "#r=" + encodeURIComponent(row.id);
  if (location.hash !== hash) history.replaceState(null, "", hash);
  document.body.classList.add("reading");
  reveal(row);
  drawList();
  return showDetail(row);
}

function leave() {
  document.body.classList.remove("reading");
  drawList();
}

function copyLink() {
  if (navigator.clipboard) navigator.clipboard.writeText(location.href).catch(() => {});
}

function followHash() {
  const found = /^#r=(.*)$/.exec(location.hash);
  if (!found) return;
  let id = found[1];
  try { id = decodeURIComponent(id); } catch { /* it stays as it is */ }
  const row = store.byId.get(id);
  if (row) return pick(row);
  document.getElementById("detail").replaceChildren(el("p", "hint", `No rollout here is called ${id}. Is this the page of another run?`));
  document.body.classList.add("reading");
}

function onKey(event) {
  const typing = ["INPUT", "SELECT", "TEXTAREA"].includes(event.target.tagName);
  if (event.key === "Escape") { event.target.blur(); leave(); return; }
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const folds = document.querySelectorAll("#detail details");
  const does = {
    j: () => pick(neighbour(1)), ArrowDown: () => pick(neighbour(1)),
    k: () => pick(neighbour(-1)), ArrowUp: () => pick(neighbour(-1)),
    n: () => pick(neighbour(1, true)), p: () => pick(neighbour(-1, true)),
    "/": () => document.getElementById("search").focus(),
    c: copyLink,
    f: () => { const open = [...folds].every((fold) => fold.open); folds.forEach((fold) => { fold.open = !open; }); },
  }[event.key];
  if (does) { event.preventDefault(); does(); }
}

async function start() {
  await openStore();
  fillChoices();
  await refresh();
  let waiting = 0;
  const soon = () => { clearTimeout(waiting); waiting = setTimeout(refresh, 120); };
  const form = document.getElementById("filters");
  form.addEventListener("input", soon);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => { filters.kind = "all"; setTimeout(refresh); });
  document.getElementById("list").addEventListener("scroll", drawList);
  addEventListener("resize", drawList);
  addEventListener("hashchange", followHash);
  addEventListener("keydown", onKey);
  await followHash();
  document.documentElement.dataset.readyMs = performance.now().toFixed(0);
}

start().catch((error) => { document.getElementById("summary").textContent = `This page could not be opened: ${error}`; });
