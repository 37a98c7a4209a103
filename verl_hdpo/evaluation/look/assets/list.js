// The list: as many elements as are seen, however many rollouts there are.

const ROW = 46, AROUND = 8;
const MARKS = { correct: "✓ right", wrong: "✗ wrong", unknown: "? unknown", lost: "∅ lost" };
const list = { rows: [], picked: null, wanted: "" };

function showList(rows) {
  list.rows = rows;
  document.getElementById("rows").style.height = `${rows.length * ROW}px`;
  drawList();
}

function drawList() {
  const frame = document.getElementById("list"), first = Math.max(0, Math.floor(frame.scrollTop / ROW) - AROUND);
  const last = Math.min(list.rows.length, Math.ceil((frame.scrollTop + frame.clientHeight) / ROW) + AROUND);
  const drawn = [];
  for (let place = first; place < last; place++) drawn.push(listRow(place));
  document.getElementById("rows").replaceChildren(...drawn);
}

function listRow(place) {
  const row = list.rows[place], before = list.rows[place - 1];
  const line = el("div", "row" + (before && before.group === row.group ? "" : " first"));
  line.style.top = `${place * ROW}px`;
  line.setAttribute("role", "option");
  line.setAttribute("aria-selected", String(row === list.picked));
  const top = el("div", "top");
  top.append(el("span", row.outcome || "", MARKS[row.outcome] || "no verdict"));
  top.append(el("span", "", row.calls === undefined ? "" : `T ${row.calls}`));
  if (row.need) top.append(el("span", "tag", row.need));
  const figures = el("span", "push num");
  for (const [name, value] of [["A_acc", row.a_acc], ["A_tool", row.a_tool]]) {
    if (value !== undefined) figures.append(el("span", value > 0 ? "up" : value < 0 ? "down" : "soft", `${name} ${signed(value)}  `));
  }
  if (row.a_acc === undefined && row.reward !== undefined) figures.append(`reward ${number(row.reward)}`);
  top.append(figures);
  const where = [row.step === undefined ? "" : `step ${row.step}`, row.source, `#${row.number}`].filter(Boolean).join(" · ");
  line.append(top, el("div", "ask", `${where} · ${row.question || ""}`));
  line.addEventListener("click", () => pick(row));
  return line;
}

function reveal(row) {
  const frame = document.getElementById("list"), place = list.rows.indexOf(row);
  if (place < 0) return;
  if (place * ROW < frame.scrollTop) frame.scrollTop = place * ROW;
  if ((place + 1) * ROW > frame.scrollTop + frame.clientHeight) frame.scrollTop = (place + 1) * ROW - frame.clientHeight;
}

// The rollout that many places, or groups, further on in the list.
function neighbour(by, group) {
  let place = list.rows.indexOf(list.picked);
  if (place < 0) return list.rows[0];
  if (!group) return list.rows[place + by];
  while (list.rows[place] && list.rows[place].group === list.picked.group) place += by;
  return list.rows[place];
}
