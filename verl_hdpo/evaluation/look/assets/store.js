// The data: the index is unpacked at once, a block of dialogues when one of its rollouts is looked at or searched.

const store = { rows: [], groups: new Map(), byId: new Map(), blocks: [], texts: null };

async function unpack(packedText) {
  const binary = atob(packedText), bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).json();
}

async function openStore() {
  store.rows = await unpack(document.getElementById("index").textContent);
  store.blocks = [...document.querySelectorAll("script.block")].map((element) => ({ element, details: null }));
  store.rows.forEach((row, at) => {
    row.at = at;
    row.tools = row.tools || [];
    store.byId.set(row.id, row);
    if (!store.groups.has(row.group)) store.groups.set(row.group, []);
    store.groups.get(row.group).push(row);
  });
}

async function details(row) {
  const block = store.blocks[Math.floor(row.at / BLOCK)];
  block.details = block.details || unpack(block.element.textContent);
  return (await block.details)[row.at % BLOCK];
}

// All that can be searched of each rollout, in lower case; made at the first search.
async function searchable() {
  if (store.texts) return store.texts;
  const texts = [];
  for (const row of store.rows) {
    const found = await details(row), parts = [row.id, row.source || "", row.verdict || "", found.reference || ""];
    for (const turn of [...(found.prompt || []), ...(found.turns || [])]) {
      parts.push(turn.text || "", turn.thinking || "");
      for (const call of turn.calls || []) parts.push(call.name || "", call.arguments || "");
    }
    texts.push(parts.join("\n").toLowerCase());
  }
  return (store.texts = texts);
}
