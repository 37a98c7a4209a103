// One rollout: its group, why it went up or down, the dialogue, the ledger, the grader, and all else.

async function showDetail(row) {
  const found = await details(row), page = document.getElementById("detail");
  if (list.picked !== row) return; // another one was chosen meanwhile
  const wanted = document.getElementById("search").value.trim().toLowerCase();
  const back = el("button", "", "← all rollouts");
  back.id = "back";
  back.addEventListener("click", leave);
  const link = el("button", "", "copy link");
  link.addEventListener("click", copyLink);
  const head = el("p", "soft");
  head.append(back, " ", [row.phase, row.step === undefined ? "" : `step ${row.step}`, row.source, found.estimator].filter(Boolean).join(" · ") + " ", link);
  const reasons = el("div", "why");
  reasons.append(...why(row, found.estimator).map((reason) => el("p", "", reason)));
  page.replaceChildren(head, siblings(row), reasons, grader(row, found), el("h2", "", "Dialogue"), ...dialogue(found, wanted), ledger(row, found), extras(row, found));
  page.scrollTop = 0;
}

function siblings(row) {
  const table = el("table"), body = el("tbody"), head = el("tr");
  table.id = "siblings";
  for (const name of ["#", "outcome", "T", "A_acc", "A_tool", "r_acc", "r_tool", "reward", "characters"]) head.append(el("th", "", name));
  const group = store.groups.get(row.group);
  const most = (key) => Math.max(1e-9, ...group.map((one) => Math.abs(one[key]) || 0));
  const scale = { a_acc: most("a_acc"), a_tool: most("a_tool") };
  for (const one of group) {
    const line = el("tr", one === row ? "pick" : "");
    line.append(el("td", "num", one.number), el("td", one.outcome || "", (MARKS[one.outcome] || "–") + (one.need ? `, ${one.need}` : "")), el("td", "num", number(one.calls, 0)));
    for (const key of ["a_acc", "a_tool"]) line.append(barCell(one[key], scale[key]));
    for (const key of ["r_acc", "r_tool", "reward"]) line.append(el("td", "num", number(one[key])));
    line.append(el("td", "num", number(one.written, 0)));
    line.addEventListener("click", () => pick(one));
    body.append(line);
  }
  const thead = el("thead"), box = el("div", "scroll group");
  thead.append(head);
  table.append(thead, body);
  box.append(table);
  return box;
}

function barCell(value, most) {
  const cell = el("td", "num " + (value > 0 ? "up" : value < 0 ? "down" : "soft"));
  if (typeof value !== "number") { cell.textContent = "–"; return cell; }
  const bar = el("span", "bar"), part = el("i"), width = 50 * Math.abs(value) / most;
  part.style.width = `${width}%`;
  part.style.left = `${value < 0 ? 50 - width : 50}%`;
  bar.append(part);
  cell.append(bar, signed(value));
  return cell;
}

function grader(row, found) {
  const facts = [
    ["reference", found.reference],
    ["the grader saw", found.answer],
    ["it decided", row.outcome && `${MARKS[row.outcome]}${row.verdict ? `, by ${row.verdict}` : ""}`],
    ["accuracy", found.accuracy],
  ];
  return facts_("Grader", facts);
}

function dialogue(found, wanted) {
  const turns = [];
  for (const turn of [...(found.prompt || []), ...(found.turns || [])]) {
    const box = el("div", "turn " + (["assistant", "tool"].includes(turn.role) ? turn.role : "asked"));
    box.append(el("div", "who", { assistant: "model", tool: "tool's answer" }[turn.role] || turn.role));
    if (turn.thinking) box.append(folded("thinking", `thinking, ${turn.thinking.length.toLocaleString("en")} characters`, turn.thinking, wanted, ""));
    if (turn.role === "tool" && (turn.text || "").length > 600) box.append(folded("answer", `${turn.text.length.toLocaleString("en")} characters: ${turn.text.slice(0, 100)}`, turn.text, wanted, "code"));
    else if (turn.text) box.append(saidBy(turn.text, turn.role === "tool" ? "code" : "", wanted));
    for (const image of turn.images || []) box.append(picture(image));
    for (const call of turn.calls || []) {
      const status = [call.status, call.seconds === undefined ? "" : `${number(call.seconds)} s`].filter(Boolean).join(", ");
      const fold = folded("call", `${(call.name || "a call that cannot be read").slice(0, 100)}  ${(call.arguments || "").slice(0, 100)}`, call.arguments || "", wanted, "code");
      if (status) fold.querySelector("summary").append(" ", el("span", "soft", status));
      box.append(fold);
    }
    turns.push(box);
  }
  return turns.length ? turns : [el("p", "hint", "Nothing was said, or nothing of it was kept.")];
}

function folded(kind, title, text, wanted, className) {
  const fold = el("details", kind);
  fold.append(el("summary", "", title));
  const open = () => { if (fold.children.length === 1) fold.append(saidBy(text, className, wanted)); };
  if (wanted && text.toLowerCase().includes(wanted)) { open(); fold.open = true; }
  fold.addEventListener("toggle", open);
  return fold;
}

function ledger(row, found) {
  if (!found.ledger) return facts_("Tool calls", [["T", row.calls === undefined ? undefined : `${row.calls}, from the ${found.counted}; no ledger was kept`]]);
  const box = el("div", "scroll"), table = el("table"), head = el("tr"), names = ["executed", "failed", "timed_out", "dropped", "seconds"];
  for (const name of ["tool", ...names]) head.append(el("th", "", name.replace("_", " ")));
  table.append(head);
  for (const [tool, tally] of Object.entries(found.ledger.tools)) {
    const line = el("tr");
    line.append(el("td", "", tool), ...names.map((name) => el("td", "num", number(tally[name], name === "seconds" ? 2 : 0))));
    table.append(line);
  }
  box.append(el("h2", "", `Ledger: T ${row.calls}, ${found.ledger.rounds} rounds${found.ledger.unavailable ? `, ${found.ledger.unavailable} unavailable` : ""}`), table);
  return box;
}

function extras(row, found) {
  const others = Object.entries(found.extras || {}).map(([key, value]) => [key, typeof value === "object" ? JSON.stringify(value) : value]);
  return facts_("All else", [["id", row.id], ["file", found.file], ...others]);
}

function facts_(title, facts) {
  const box = el("section"), table = el("dl"), told = facts.filter(([, value]) => value !== undefined && value !== null && value !== "");
  for (const [name, value] of told) table.append(el("dt", "", name), el("dd", "", String(value).slice(0, LONGEST)));
  if (told.length) box.append(el("h2", "", title), table);
  return box;
}
