// An answer on the page at /: its text as it comes, then its markers as links to the citations below it.
"use strict";

let answers = 0;

// Markers [n] become links to the citation of that number; text that only looks like one stays text.
function linkMarkers(turn, text, citations, prefix) {
  const known = new Set(citations.map((citation) => String(citation.n)));
  const parts = text.split(/\[(\d{1,3})\]/);
  const nodes = parts.map((part, at) => {
    if (at % 2 === 0) return document.createTextNode(part);
    return known.has(part) ? marker(part, prefix) : document.createTextNode(`[${part}]`);
  });
  turn.replaceChildren(...nodes);
}

function marker(number, prefix) {
  const link = document.createElement("a");
  link.className = "marker";
  link.href = `#${prefix}-${number}`;
  link.textContent = `[${number}]`;
  link.setAttribute("aria-label", `Citation ${number}`);
  return link;
}

// One entry for each source, with every quote that the answer takes from it.
function citationList(citations, prefix) {
  const bySource = new Map();
  for (const citation of citations) bySource.set(citation.n, [...(bySource.get(citation.n) || []), citation]);
  const list = document.createElement("ol");
  list.className = "citations";
  list.setAttribute("aria-label", "Citations");
  for (const [number, quoted] of bySource) {
    const item = document.createElement("li");
    item.id = `${prefix}-${number}`;
    item.append(element("span", "number", `[${number}]`), title(quoted[0]));
    for (const { quote } of quoted) item.append(element("q", "", quote));
    list.append(item);
  }
  return list;
}

// The link leads to the quoted words where the browser can find them on the page (a text fragment).
function title({ title: name, source_id: sourceId, url, quote }) {
  if (!/^https?:\/\//i.test(url || "")) return element("span", "title", name || sourceId);
  const link = element("a", "title", name || url);
  link.href = url.includes("#") ? url : `${url}#:~:text=${encodeURIComponent(quote).replaceAll("-", "%2D")}`;
  link.target = "_blank";
  link.rel = "noopener";
  return link;
}

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.textContent = text;
  return made;
}

function showAnswer(turn, call) {
  if (!call.supported) {
    turn.classList.replace("assistant", "unknown");
    return;
  }
  answers += 1;
  const prefix = `citation-${answers}`;
  linkMarkers(turn, call.answer, call.citations, prefix);
  turn.append(citationList(call.citations, prefix));
}
