// Long work on the page at /: hands a job in, watches it with a one-time token and shows the callback that the site got.
// Uses what home.js has: readEvents, post, Refusal, wire, price, clock.
"use strict";

{
  const work = byId("work");
  const text = byId("work-text");
  const button = byId("hand-in");
  const samples = JSON.parse(byId("work-samples").textContent);
  const CALLBACK_LOOKS = 60; // for the callback after the end, every half second
  const CALLBACK_EVERY_MS = 500;

  // ---- one job --------------------------------------------------------------------------------------------------

  async function handIn() {
    begin();
    const call = { began: performance.now(), job: null };
    try {
      const response = await post(work.action, { Accept: "application/json" }, new FormData(work));
      const accepted = await response.json();
      call.job = accepted;
      mark("created", "done", `202 after ${Math.round(performance.now() - call.began)} ms: job ${accepted.id.slice(0, 8)}… is in the database.`);
      say("The job is handed in.");
      mark("running", "now");
      const job = await watch(call, accepted);
      end(call, job);
      await callback(accepted);
    } catch (error) {
      fail(call, error);
    } finally {
      button.disabled = false;
    }
  }

  // The stream of one job; its last event is the whole job.
  async function watch(call, accepted) {
    const events = byId("events");
    events.replaceChildren();
    wire(events, [`GET ${shown(accepted.events, accepted.id)}\n`, "key"], ["Authorization: ", "dim"], `Bearer ${accepted.token.slice(0, 16)}…\n\n`);
    const headers = { Authorization: `Bearer ${accepted.token}`, Accept: "text/event-stream" };
    const response = await fetch(accepted.events, { headers, credentials: "omit" });
    if (!response.ok) throw new Refusal(response.status, {}, response.headers);
    let job = null;
    await readEvents(response.body, ({ event, data }) => {
      const at = `${Math.round(performance.now() - call.began)}`.padStart(5) + " ms  ";
      wire(events, [at, "dim"], event === "message" ? "" : [`event: ${event}  `, event === "error" ? "bad" : "key"], `data: ${shorten(data, 160)}\n`);
      if (event === "progress") progress(JSON.parse(data));
      if (event === "done") job = JSON.parse(data);
      if (event === "error") throw new Refusal(500, JSON.parse(data), response.headers);
    });
    if (!job) throw new TypeError("cut");
    return job;
  }

  async function callback({ id, callback: url }) {
    for (let look = 0; look < CALLBACK_LOOKS; look += 1) {
      const response = await fetch(url, { credentials: "omit" });
      if (response.status === 200) return showCallback(await response.json());
      await new Promise((resolve) => { setTimeout(resolve, CALLBACK_EVERY_MS); });
    }
    mark("called", "failed", "It has not arrived yet. It is tried again for three days; the admin shows each attempt.");
    state("missing", "no callback yet");
    return say(`The callback of job ${id} has not arrived yet.`);
  }

  // ---- showing it -----------------------------------------------------------------------------------------------

  function begin() {
    button.disabled = true;
    for (const item of document.querySelectorAll("[data-job-step]")) item.removeAttribute("data-state");
    for (const id of ["job-tokens-in", "job-tokens-out", "job-cost", "job-took"]) byId(id).textContent = "–";
    byId("progress").value = 0;
    byId("job-link").hidden = true;
    byId("callback").replaceChildren();
    result(paragraph("A worker is at it.", "muted"));
    state("", "waiting");
    say("Handing it in.");
  }

  function progress({ status, progress: percent }) {
    byId("progress").value = percent;
    mark("running", "now", status === "queued" ? "It waits for a worker." : `${status}, ${percent} %`);
    if (status === "running") say(`The job is running, ${percent} percent.`);
  }

  function end(call, job) {
    const took = Math.round(performance.now() - call.began);
    const { input_tokens: input, output_tokens: output, cost_usd: cost, estimated } = job.usage;
    const about = estimated ? "about " : "";
    byId("job-tokens-in").textContent = about + input;
    byId("job-tokens-out").textContent = about + output;
    byId("job-cost").textContent = price(cost, estimated);
    byId("job-took").textContent = took < 10000 ? `${took} ms` : `${Math.round(took / 1000)} s`;
    byId("job-link").href = call.job.admin;
    byId("job-link").hidden = false;
    const well = job.status === "succeeded";
    byId("progress").value = well ? 100 : job.progress;
    mark("running", well ? "done" : "failed", `${job.attempts === 1 ? "One attempt" : `${job.attempts} attempts`}, by a worker process.`);
    mark("ended", well ? "done" : "failed", well ? `Succeeded; ${price(cost, estimated)} is in the ledger.` : `${job.status}: ${job.error?.code || ""}`);
    result(well ? describe(job.kind, job.result) : paragraph(job.error?.message || `The job is ${job.status}.`, "problem"));
    mark("called", "now");
    say(`The job has ${job.status}. ${byId("result").textContent}`);
  }

  function describe(kind, found) {
    if (kind === "summary") return paragraph(found.summary);
    if (kind === "classify") return paragraph(found.label ? `It is: ${found.label}` : "No label fits.", "label");
    const list = document.createElement("dl");
    for (const [name, value] of Object.entries(found.data)) {
      const term = document.createElement("dt");
      const given = document.createElement("dd");
      term.textContent = name.replaceAll("_", " ");
      given.textContent = value === null ? "–" : String(value);
      list.append(term, given);
    }
    return list;
  }

  function showCallback({ type, headers, body }) {
    const pre = byId("callback");
    wire(pre, ["POST /demo/callback\n", "key"]);
    for (const [name, value] of Object.entries(headers)) wire(pre, [`${name}: `, "dim"], `${value}\n`);
    wire(pre, `\n${body}`);
    pre.scrollTop = 0;
    mark("called", "done", `${type}: the signature is the site’s own.`);
    state("verified", "✓ signature verified");
    say("The signed callback arrived and is verified.");
  }

  function fail(call, error) {
    const refused = error instanceof Refusal;
    mark(call.job ? "running" : "created", "failed");
    result(paragraph(refused ? explainJob(error) : unreachable(call), "problem"));
    if (call.job) {
      byId("job-link").href = call.job.admin;
      byId("job-link").hidden = false;
    }
    state("", "nothing yet");
    say(byId("result").textContent);
  }

  function explainJob({ status, problem, retryAfter }) {
    if (status === 429) return `Too many jobs at once. Try again in ${retryAfter || 60} seconds.`;
    if (status === 403) return "This page is out of date. Reload it and hand the job in again.";
    if (status === 404) return "This page has no tenant to work for. Set HOME_PAGE_TENANT to one with a live key.";
    return `${problem.title || `The job was refused (${status})`}. ${problem.detail || ""}`.trim();
  }

  function unreachable(call) {
    return call.job
      ? "The connection broke. The job goes on without this page: the admin shows it."
      : "The server can’t be reached. Is it still running?";
  }

  const paragraph = (words, kind = "") => Object.assign(document.createElement("p"), { textContent: words, className: kind });
  const result = (element) => byId("result").replaceChildren(element);
  const say = (words) => { byId("work-status").textContent = words; };
  const shown = (url, id) => url.replace(id, `${id.slice(0, 8)}…`);

  function state(name, words) {
    byId("callback-state").dataset.state = name;
    byId("callback-state").textContent = words;
  }

  function mark(name, how, words) {
    const item = document.querySelector(`[data-job-step="${name}"]`);
    item.dataset.state = how;
    if (words) item.querySelector("p").textContent = words;
  }

  // ---- start ----------------------------------------------------------------------------------------------------

  function choose(input) {
    byId("kind-hint").textContent = input.dataset.hint;
    text.value = samples[input.value];
  }

  for (const input of work.elements.kind) input.addEventListener("change", () => choose(input));
  work.addEventListener("submit", (event) => { event.preventDefault(); if (!button.disabled) handIn(); });
  choose(work.querySelector("[name=kind]:checked"));
}
