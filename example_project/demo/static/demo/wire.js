// What the page's scripts share: reading server-sent events, refusals, the panels that show the wire, words for numbers.
"use strict";

const byId = (id) => document.getElementById(id);
const SHOWN_EVENTS = 400;

// ---- reading a stream -------------------------------------------------------------------------------------------

// Server-sent events of a fetch body, whatever way the network cuts it: calls onEvent({event, data}) one by one.
async function readEvents(body, onEvent) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    // A CR at the very end may be half of a CRLF: it waits for the next piece.
    buffer = (buffer + value).replace(/\r\n|\r(?!$)/g, "\n");
    let end;
    while ((end = buffer.indexOf("\n\n")) >= 0) {
      dispatch(buffer.slice(0, end), onEvent);
      buffer = buffer.slice(end + 2);
    }
  }
}

function dispatch(block, onEvent) {
  let event = "message";
  const data = [];
  for (const line of block.split("\n")) {
    const [, field, value] = /^([^:]*):? ?(.*)$/.exec(line);
    if (field === "event") event = value;
    if (field === "data") data.push(value);
  }
  if (data.length) onEvent({ event, data: data.join("\n") });
}

// ---- asking ----------------------------------------------------------------------------------------------------

class Refusal extends Error {
  constructor(status, problem, headers) {
    super(problem.title || "");
    this.status = status;
    this.problem = problem;
    this.requestId = problem.request_id || headers.get("X-Request-ID") || "";
    this.retryAfter = Number(headers.get("Retry-After")) || 0;
  }
}

async function post(url, headers, body, signal) {
  const response = await fetch(url, { method: "POST", headers, body, signal, credentials: "same-origin" });
  if (response.ok) return response;
  const text = await response.text();
  let problem = {};
  try { problem = JSON.parse(text); } catch { /* a page of a proxy or of Django: the status says enough */ }
  throw new Refusal(response.status, problem.error && problem.error.code ? problem.error : problem, response.headers);
}

// ---- the wire ---------------------------------------------------------------------------------------------------

function wire(pre, ...parts) {
  for (const part of parts) {
    const [text, kind] = Array.isArray(part) ? part : [part, ""];
    const span = document.createElement("span");
    span.className = kind;
    span.textContent = text;
    pre.append(span);
  }
  while (pre.childElementCount > SHOWN_EVENTS) pre.firstElementChild.remove();
  pre.scrollTop = pre.scrollHeight;
}

// ---- words ------------------------------------------------------------------------------------------------------

function price(cost, estimated) {
  if (cost === null || cost === undefined) return "price unknown";
  const amount = Number(cost);
  if (amount === 0) return "$0";
  return `${estimated ? "about " : ""}$${amount.toFixed(amount < 0.01 ? 6 : 4)}`;
}

const shorten = (text, length) => (text.length > length ? `${text.slice(0, length)}… (${text.length.toLocaleString("en")} characters)` : text);
const clock = (time) => new Date(time).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const lower = (text) => text.charAt(0).toLowerCase() + text.slice(1);
const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;
