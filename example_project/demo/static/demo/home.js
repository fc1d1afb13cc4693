// The page at /: asks with a one-time token, streams the answer and shows everything that went over the wire.
"use strict";

const form = byId("ask");
const question = byId("question");
const log = byId("log");
let conversation = "new"; // the server keeps what was said
let running = null;

// ---- one question -----------------------------------------------------------------------------------------------

async function ask(text) {
  running = new AbortController();
  const call = { began: performance.now(), signal: running.signal, answer: "", citations: [], finished: false, requestId: "" };
  const bubble = begin(text);
  try {
    await stream(call, text, bubble);
    if (!call.finished) throw new TypeError("cut");
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
  step("signed", "done", `Its token opens one stream, until ${clock(granted.expires_at)}.`);
  const body = { question: text, stream: true, conversation_id: conversation };
  showRequest(granted, body);
  const headers = { Authorization: `Bearer ${granted.token}`, "Content-Type": "application/json", Accept: "text/event-stream" };
  const response = await post(granted.url, headers, JSON.stringify(body), call.signal);
  call.requestId = response.headers.get("X-Request-ID") || "";
  showReplyHead(response, call.requestId);
  step("admitted", "done", "Scope, limits and budget allow it.");
  await readEvents(response.body, (event) => receive(call, event, bubble));
}

function receive(call, { event, data }, bubble) {
  showEvent(call, event, data);
  if (data === "[DONE]") return;
  const content = JSON.parse(data);
  if (event === "sources") {
    found(content.sources);
  } else if (event === "start") {
    call.conversation = content.conversation_id;
    if (content.model) routed(call, content);
  } else if (event === "error") {
    throw new Refusal(content.status || 502, content, new Headers());
  } else if (event === "done") {
    Object.assign(call, { usage: content.usage || {}, cached: content.cached, finishReason: content.finish_reason });
    Object.assign(call, { supported: content.supported, citations: content.citations, finished: true });
  } else if (content.delta) {
    if (!call.answer) byId("first-word").textContent = `${Math.round(performance.now() - call.began)} ms`;
    call.answer += content.delta;
    append(bubble, content.delta);
  }
}

function found(sources) {
  const first = sources[0];
  if (first) step("found", "done", `${count(sources.length, "page")} for the model, the first: ${first.title || first.source_id}.`);
  else step("found", "done", "Nothing on the subject.");
}

function routed(call, { provider, model }) {
  Object.assign(call, { provider, model });
  step("routed", "done", `Provider ${provider}, model ${model}.`);
  byId("provider").textContent = provider === "offline" ? "Offline provider" : `${provider} · ${model}`;
}

// ---- showing it -------------------------------------------------------------------------------------------------

function begin(text) {
  byId("empty")?.remove();
  for (const item of document.querySelectorAll("[data-step]")) reset(item);
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
  conversation = call.conversation || conversation;
  showAnswer(bubble, call);
  const { input_tokens: input = 0, output_tokens: output = 0, cost_usd: cost, estimated } = call.usage;
  const about = estimated ? "about " : "";
  byId("tokens-in").textContent = about + input;
  byId("tokens-out").textContent = about + output;
  byId("cost").textContent = price(cost, estimated);
  const spent = `${about}${input + output} tokens, ${price(cost, estimated)}`;
  if (!call.model) step("routed", "skipped", "No model was asked: there was nothing to answer from.");
  step("checked", call.model ? "done" : "skipped", checked(call));
  step("recorded", "done", call.model ? `The answer: ${spent}. The search has a row of its own.` : "The search’s row alone.");
  showLedgerLink(call.requestId);
  const cut = call.finishReason === "length" ? " Cut at the token limit." : "";
  const kept = call.cached ? " Kept from before." : "";
  note(bubble, call.model ? `${call.provider} · ${call.model} · ${spent.replace(",", " ·")}.${kept}${cut}` : "No model was asked.");
  scrollToQuestion(bubble);
  byId("wire-status").textContent = `complete after ${Math.round(performance.now() - call.began)} ms`;
  byId("status").textContent = call.supported ? "The answer is complete." : "The site does not answer this.";
}

// An answer with its citations may be longer than the log: it is read from its question on.
function scrollToQuestion(bubble) {
  const asked = bubble.previousElementSibling;
  log.scrollTop += asked.getBoundingClientRect().top - log.getBoundingClientRect().top - 12;
}

function checked({ model, supported, citations }) {
  if (!model) return "There was no answer to check.";
  if (!supported) return "No citation holds, so what the model said is not shown.";
  return citations.length === 1 ? "The quote stands in the page it names." : `All ${citations.length} quotes stand in the pages they name.`;
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
    404: "This page has no tenant to ask. Set HOME_PAGE_TENANT to one with a live key.",
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

function reset(item) {
  const text = item.querySelector("p");
  item.removeAttribute("data-state");
  text.dataset.first ??= text.textContent;
  text.textContent = text.dataset.first;
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

function showRequest(granted, body) {
  const pre = byId("request");
  pre.dataset.sent = "1";
  pre.replaceChildren();
  wire(pre, [`POST ${granted.url}\n`, "key"], ["Authorization: ", "dim"], `Bearer ${granted.token.slice(0, 24)}…\n`,
    ["Content-Type: ", "dim"], "application/json\n\n", JSON.stringify(body, null, 1));
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
  if (!text || running || isIndexing()) return;
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
  log.addEventListener("click", ({ target }) => {
    if (!target.matches("[data-prompt]")) return;
    question.value = target.textContent;
    submit();
  });
  awaitIndex();
}
