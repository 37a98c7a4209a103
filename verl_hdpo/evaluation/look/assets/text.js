// Every text of a rollout reaches the page through here, as text: never as HTML, and with what is invisible made visible.

const LONGEST = 20000; // characters shown before one asks for the rest
const INVISIBLE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\p{Surrogate}]/gu; // surrogates: lone ones

function visible(text) {
  return text.replace(/\r\n/g, "\n").replace(INVISIBLE, (sign) => {
    const code = sign.codePointAt(0);
    if (code < 0x20) return String.fromCharCode(0x2400 + code); // the picture of a control character
    return code === 0x7f ? "\u2421" : "\u27e8U+" + code.toString(16).toUpperCase().padStart(4, "0") + "\u27e9";
  });
}

function el(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = visible(String(text));
  return element;
}

function saidBy(text, className, wanted) {
  const block = el("pre", "said " + (className || ""));
  fill(block, text.length > LONGEST ? text.slice(0, LONGEST) : text, wanted);
  if (text.length > LONGEST) {
    const more = el("button", "more", `show all ${text.length.toLocaleString("en")} characters`);
    more.addEventListener("click", () => { block.textContent = ""; fill(block, text, wanted); });
    block.append("\n", more);
  }
  return block;
}

function fill(block, text, wanted) {
  const shown = visible(text), found = wanted ? shown.toLowerCase() : "";
  let at = 0, hits = 0;
  while (wanted && hits++ < 500) {
    const hit = found.indexOf(wanted, at);
    if (hit < 0) break;
    block.append(shown.slice(at, hit), el("mark", "", shown.slice(hit, hit + wanted.length)));
    at = hit + wanted.length;
  }
  block.append(shown.slice(at));
}

function picture(source) {
  if (!/^data:image\/(png|jpeg|webp|gif);base64,[A-Za-z0-9+/=]+$/.test(source)) return el("p", "soft", `[image: ${source.slice(0, 200)}]`);
  const image = document.createElement("img");
  image.alt = "image of the dialogue";
  image.src = source;
  return image;
}

function number(value, digits = 2) {
  return typeof value === "number" ? value.toFixed(digits) : value === undefined ? "–" : String(value);
}

function signed(value) {
  return typeof value === "number" ? (value > 0 ? "+" : "") + value.toFixed(2) : "–";
}
