// The page at /: asks for a one-time token, streams the answer and shows everything that went over the wire.
"use strict";

const byId = (id) => document.getElementById(id);
const form = byId("ask");
const question = byId("question");
const log = byId("log");
const HISTORY = 6; // earlier messages that are sent along
const SHOWN_EVENTS = 400;
const turns = [];
let running = null;

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

// ---- one question -----------------------------------------------------------------------------------------------

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

async function ask(text) {
  running = new AbortController();
  const call = { began: performance.now(), signal: running.signal, answer: "", usage: null, finished: false, requestId: "" };
  const bubble = begin(text);
  try {
    await stream(call, text, bubble);
    if (!call.finished) throw new TypeError("cut");
    turns.push({ role: "user", content: text }, { role: "assistant", content: call.answer });
    finish(bubble, call);
  } catch (error) {
    fail(bubble, call, error);
  } finally {
    running = null;
    bubble.removeAttribute("data-streaming");
    log.setAttribute("aria-busy", "false");
    toggle(false);
  }
}

async function stream(call, text, bubble) {
  const csrf = form.elements.csrfmiddlewaretoken.value;
  const granted = await (await post(form.action, { "X-CSRFToken": csrf }, null, call.signal)).json();
  step("signed", "done", `Token ${granted.token.slice(0, 16)}… opens one stream, until ${clock(granted.expires_at)}.`);
  const body = {
    system: JSON.parse(byId("system").textContent),
    messages: [...turns.slice(-HISTORY), { role: "user", content: text }],
  };
  showRequest(granted, body);
  const headers = { Authorization: `Bearer ${granted.token}`, "Content-Type": "application/json", Accept: "text/event-stream" };
  const response = await post(granted.url, headers, JSON.stringify(body), call.signal);
  call.requestId = response.headers.get("X-Request-ID") || "";
  showReplyHead(response, call.requestId);
  step("admitted", "done", `Scope, limits and budget allow it. Request ${call.requestId}.`);
  await readEvents(response.body, (event) => receive(call, event, bubble));
}

function receive(call, { event, data }, bubble) {
  showEvent(call, event, data);
  if (data === "[DONE]") return;
  const content = JSON.parse(data);
  if (event === "start") {
    call.model = content.model;
    call.provider = content.provider;
    step("routed", "done", `Provider ${content.provider}, model ${content.model}.`);
    byId("provider").textContent = content.provider === "offline" ? "Offline provider" : `${content.provider} · ${content.model}`;
  } else if (event === "error") {
    throw new Refusal(content.status || 502, content, new Headers());
  } else if (event === "done") {
    call.usage = content.usage || {};
    call.finishReason = content.finish_reason;
    call.finished = true;
  } else if (content.delta) {
    if (!call.answer) byId("first-word").textContent = `${Math.round(performance.now() - call.began)} ms`;
    call.answer += content.delta;
    append(bubble, content.delta);
  }
}

// ---- showing it -------------------------------------------------------------------------------------------------

function begin(text) {
  byId("empty")?.remove();
  for (const item of document.querySelectorAll("[data-step]")) item.removeAttribute("data-state");
  for (const id of ["tokens-in", "tokens-out", "cost", "first-word"]) byId(id).textContent = "–";
  byId("reply").replaceChildren();
  byId("ledger").hidden = true;
  addTurn("user", text);
  const bubble = addTurn("assistant", "");
  bubble.setAttribute("data-streaming", "");
  bubble.append(document.createTextNode(""));
  log.setAttribute("aria-busy", "true");
  byId("status").textContent = "Answering.";
  toggle(true);
  return bubble;
}

function finish(bubble, call) {
  const { input_tokens: input = 0, output_tokens: output = 0, cost_usd: cost, estimated } = call.usage;
  const about = estimated ? "about " : "";
  byId("tokens-in").textContent = about + input;
  byId("tokens-out").textContent = about + output;
  byId("cost").textContent = price(cost, estimated);
  step("recorded", "done", `${about}${input + output} tokens, ${price(cost, estimated)}: one row in the ledger.`);
  showLedgerLink(call.requestId);
  const cut = call.finishReason === "length" ? " Cut at the token limit." : "";
  note(bubble, `${call.provider} · ${call.model} · ${about}${input + output} tokens · ${price(cost, estimated)}.${cut}`);
  byId("wire-status").textContent = `complete after ${Math.round(performance.now() - call.began)} ms`;
  byId("status").textContent = "The answer is complete.";
}

function fail(bubble, call, error) {
  const stopped = error.name === "AbortError";
  const refused = error instanceof Refusal;
  const failed = stopped ? null : call.finished ? "recorded" : call.answer ? "routed" : call.requestId ? "routed" : null;
  if (failed) step(failed, "failed");
  if (refused && !call.requestId) step(error.status === 403 || !byId("request").dataset.sent ? "signed" : "admitted", "failed");
  const sentence = stopped ? "You stopped the answer. What was sent until then is recorded." : refused ? explain(error) : explainCut(call, error);
  if (!call.answer) bubble.remove();
  const target = call.answer && stopped ? bubble : addTurn("problem", "");
  const id = (refused && error.requestId) || call.requestId;
  if (target === bubble) note(bubble, sentence);
  else {
    target.textContent = sentence;
    if (id) note(target, `Request ${id}`);
  }
  byId("status").textContent = sentence;
  byId("wire-status").textContent = stopped ? "stopped" : refused ? `refused with ${error.status}` : "connection lost";
  if (refused && !call.requestId) showRefusal(error);
}

function explain({ status, problem, retryAfter }) {
  const wait = retryAfter ? ` Try again in ${retryAfter} ${retryAfter === 1 ? "second" : "seconds"}.` : " Try again in a moment.";
  const detail = problem.detail ? ` ${problem.detail}` : "";
  const sentences = {
    400: `This question can’t be answered: ${lower(problem.title || "it was refused")}.${detail}`,
    401: "The one-time token was not accepted; it may have expired. Ask again, each question gets a new one.",
    402: "The site’s budget is used up, so nothing was sent. An admin can raise it.",
    403: "This page is out of date. Reload it and ask again.",
    404: "This page has no tenant to chat as. Set HOME_PAGE_TENANT to one with a live key.",
    413: "That is too long to send.",
    422: `The request was not valid.${detail}`,
    429: `Too many questions at once.${wait}`,
    502: "The AI provider failed. It has been noted; ask again.",
    503: `The AI provider is not available right now.${wait}`,
    504: "The AI provider took too long, so the call was ended.",
  };
  return sentences[status] || (status >= 500 ? "The server failed on this question. Its log says why." : `The call was refused (${status}).`);
}

function explainCut(call, error) {
  if (error instanceof SyntaxError) return "The reply could not be understood.";
  if (call.answer) return "The connection broke before the answer was complete. What arrived is shown, and what it cost is recorded.";
  return "The server can’t be reached. Is it still running?";
}

function addTurn(kind, text) {
  const turn = document.createElement("div");
  turn.className = `turn ${kind}`;
  turn.textContent = text;
  log.append(turn);
  log.scrollTop = log.scrollHeight;
  return turn;
}

function append(bubble, text) {
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40; // a reader who scrolled up is left there
  bubble.firstChild.appendData(text);
  if (atEnd) log.scrollTop = log.scrollHeight;
}

function note(turn, text) {
  const meta = document.createElement("span");
  meta.className = "meta";
  meta.textContent = text;
  turn.append(meta);
  log.scrollTop = log.scrollHeight;
}

function step(name, state, text) {
  const item = document.querySelector(`[data-step="${name}"]`);
  item.dataset.state = state;
  if (text) item.querySelector("p").textContent = text;
}

function showLedgerLink(requestId) {
  const link = byId("ledger");
  link.href = `${link.dataset.list}?q=${encodeURIComponent(requestId)}`;
  link.hidden = false;
}

function toggle(busy) {
  byId("send").hidden = busy;
  byId("stop").hidden = !busy;
  for (const button of document.querySelectorAll("[data-prompt]")) button.disabled = busy;
  question.focus({ preventScroll: true });
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

function showRequest(granted, body) {
  const pre = byId("request");
  pre.dataset.sent = "1";
  pre.replaceChildren();
  const shown = { ...body, system: shorten(body.system, 60) };
  wire(pre, [`POST ${granted.url}\n`, "key"], ["Authorization: ", "dim"], `Bearer ${granted.token.slice(0, 24)}…\n`,
    ["Content-Type: ", "dim"], "application/json\n\n", JSON.stringify(shown, null, 1));
  pre.scrollTop = 0;
  byId("wire-status").textContent = "sent";
}

function showReplyHead(response, requestId) {
  wire(byId("reply"), [`${response.status} ${response.statusText}\n`, "key"], ["Content-Type: ", "dim"],
    `${response.headers.get("Content-Type")}\n`, ["X-Request-ID: ", "dim"], `${requestId}\n\n`);
  byId("wire-status").textContent = "streaming";
}

function showEvent(call, event, data) {
  const at = `${Math.round(performance.now() - call.began)}`.padStart(5) + " ms  ";
  const name = event === "message" ? "" : `event: ${event}  `;
  wire(byId("reply"), [at, "dim"], [name, event === "error" ? "bad" : "key"], `data: ${data}\n`);
}

function showRefusal(error) {
  const body = error.problem.code ? JSON.stringify(error.problem, null, 1) : "(no problem details)";
  wire(byId("reply"), [`${error.status} ${error.problem.code || ""}\n\n`, "bad"], body);
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

// ---- start ------------------------------------------------------------------------------------------------------

async function showHealth() {
  const link = byId("health");
  try {
    const ready = (await fetch(link.href, { credentials: "omit" })).ok;
    link.dataset.state = ready ? "ready" : "failing";
    byId("health-text").textContent = ready ? "Ready" : "Not ready";
  } catch {
    link.dataset.state = "failing";
    byId("health-text").textContent = "Unreachable";
  }
}

function fit() {
  question.style.height = "auto";
  question.style.height = `${question.scrollHeight}px`;
}

function submit() {
  const text = question.value.trim();
  if (!text || running) return;
  question.value = "";
  fit();
  ask(text);
}

showHealth();
if (form) {
  form.addEventListener("submit", (event) => { event.preventDefault(); submit(); });
  question.addEventListener("input", fit);
  question.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); submit(); }
  });
  byId("stop").addEventListener("click", () => running?.abort());
  for (const button of document.querySelectorAll("[data-prompt]")) {
    button.addEventListener("click", () => { question.value = button.textContent; submit(); });
  }
}
