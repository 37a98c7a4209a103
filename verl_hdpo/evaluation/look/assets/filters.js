// Which rollouts are shown, and in which order.

const KINDS = [
  ["all", "all", () => true],
  ["called-right", "called and right", (row) => row.calls > 0 && row.outcome === "correct"],
  ["needless", "called without need", (row) => row.need === "needless"],
  ["missed", "missed a call", (row) => row.need === "missed"],
  ["correct", "right", (row) => row.outcome === "correct"],
  ["wrong", "wrong", (row) => row.outcome === "wrong"],
  ["unknown", "unknown", (row) => row.outcome === "unknown"],
  ["lost", "lost", (row) => row.outcome === "lost"],
];
const HINTS = {
  needless: "It called a tool and is right, and a sibling is right without a call.",
  missed: "It called no tool and is wrong, and a sibling that called is right.",
  unknown: "No check could decide. Such a rollout is out of the loss, not wrong.",
  lost: "An exception ended it.",
};
const SORTS = [
  ["file", "as in the files", null],
  ["a_acc-", "A_acc, greatest first", (row) => -row.a_acc],
  ["a_acc", "A_acc, least first", (row) => row.a_acc],
  ["a_tool-", "A_tool, greatest first", (row) => -row.a_tool],
  ["a_tool", "A_tool, least first", (row) => row.a_tool],
  ["calls-", "most calls first", (row) => -row.calls],
  ["written-", "longest first", (row) => -row.written],
  ["written", "shortest first", (row) => row.written],
  ["reward", "least reward first", (row) => row.reward],
  ["step-", "latest step first", (row) => -row.step],
];
const filters = { kind: "all" };

async function chosenRows() {
  const value = (id) => document.getElementById(id).value;
  const wanted = value("search").trim().toLowerCase();
  const texts = wanted ? await searchable() : null;
  const kind = KINDS.find(([name]) => name === filters.kind)[2];
  const shortest = value("shortest") === "" ? -Infinity : Number(value("shortest"));
  const longest = value("longest") === "" ? Infinity : Number(value("longest"));
  const source = value("source"), step = value("step"), phase = value("phase"), tool = value("tool");
  const began = performance.now();
  const rows = store.rows.filter((row) =>
    kind(row) &&
    (!source || (row.source || "–") === source) &&
    (!step || String(row.step ?? "–") === step) &&
    (!phase || row.phase === phase) &&
    (!tool || row.tools.includes(tool)) &&
    (row.written || 0) >= shortest && (row.written || 0) <= longest &&
    (!texts || texts[row.at].includes(wanted)));
  const key = SORTS.find(([name]) => name === value("sort"))[2];
  if (key) {
    // What has no such value stands last.
    const rank = (row) => { const found = key(row); return typeof found === "number" && !Number.isNaN(found) ? found : Infinity; };
    rows.sort((one, other) => { const a = rank(one), b = rank(other); return a === b ? one.at - other.at : a - b; });
  }
  document.documentElement.dataset.filterMs = (performance.now() - began).toFixed(1);
  return rows;
}

function fillChoices() {
  const choices = {
    source: store.rows.map((row) => row.source || "–"),
    step: store.rows.map((row) => String(row.step ?? "–")),
    phase: store.rows.map((row) => row.phase),
    tool: store.rows.flatMap((row) => row.tools),
  };
  for (const [id, values] of Object.entries(choices)) {
    const select = document.getElementById(id), names = [...new Set(values)];
    names.sort((one, other) => one.localeCompare(other, "en", { numeric: true }));
    for (const [name, label] of [["", "all"], ...names.map((name) => [name, name])]) {
      const option = el("option", "", label);
      option.value = name;
      select.append(option);
    }
    select.parentElement.hidden = names.length < (id === "tool" ? 1 : 2);
  }
  for (const [name, label] of SORTS) {
    const option = el("option", "", label);
    option.value = name;
    document.getElementById("sort").append(option);
  }
  for (const [name, label, matches] of KINDS) {
    const count = store.rows.filter(matches).length;
    const button = el("button", "", `${label} ${count.toLocaleString("en")}`);
    button.dataset.kind = name;
    button.type = "button";
    button.title = HINTS[name] || "";
    button.hidden = count === 0;
    button.addEventListener("click", () => { filters.kind = filters.kind === name ? "all" : name; refresh(); });
    document.getElementById("kinds").append(button);
  }
}
