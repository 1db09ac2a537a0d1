// Asks the server twice a second what happens, and shows it. All text goes in as text, never as
// HTML: peers choose their names.

const EVERY = 500; // milliseconds between two questions
const AGAIN = 1000; // after one that was not answered
const PATIENCE = 4000; // for an answer
const SECONDS = 300;
const STRETCH = 4; // seconds that are asked for again: workers tell a little late

const SVG = "http://www.w3.org/2000/svg";
const byId = (id) => document.getElementById(id);

// Numbers ---------------------------------------------------------------------------------------

function threeDigits(value) {
  if (value >= 100) return Math.round(value).toString();
  return value >= 10 ? value.toFixed(1) : value.toFixed(value >= 0.995 || value === 0 ? 1 : 2);
}

function bytes(count) {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let unit = 0;
  while (count >= 999.5 && unit < units.length - 1) {
    count /= 1000;
    unit += 1;
  }
  return [unit ? threeDigits(count) : Math.round(count).toString(), units[unit]];
}

const joined = ([number, unit]) => `${number} ${unit}`;
const whole = (count) => Math.round(count).toLocaleString("en");
const perSecond = (rate) => (rate && rate < 9.95 ? rate.toFixed(1) : whole(rate));
const several = (count, one, many = `${one}s`) => `${whole(count)} ${count === 1 ? one : many}`;

function time(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

const moment = (seconds) => new Date(seconds * 1000).toLocaleString();

function short(seconds) {
  if (seconds < 0.9995) return [threeDigits(seconds * 1000).replace(/\.0$/, ""), "ms"];
  return [threeDigits(seconds).replace(/\.0$/, ""), "s"];
}

// Text ------------------------------------------------------------------------------------------

function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function sayNumber(element, [number, unit]) {
  const text = `${number} ${unit}`.trim();
  if (element.dataset.text === text) return;
  element.dataset.text = text;
  element.replaceChildren(number);
  if (unit) element.append(make("small", "", ` ${unit}`));
}

function make(name, kind = "", text = "") {
  const element = document.createElement(name);
  if (kind) element.className = kind;
  element.textContent = text;
  return element;
}

/** Have a list show values: its elements are made once, and filled again. */
function fill(list, values, create, show) {
  while (list.children.length > values.length) list.lastElementChild.remove();
  while (list.children.length < values.length) list.append(create());
  values.forEach((value, index) => show(list.children[index], value));
}

// Charts ----------------------------------------------------------------------------------------

const history = { second: 0, last: 0, objects: new Map(), bytes: new Map(), failures: new Map() };

function forget() {
  history.second = 0;
  settledBefore.length = 0;
  for (const name of ["objects", "bytes", "failures"]) history[name].clear();
}

function remember(rates, workers) {
  for (const name of ["objects", "bytes", "failures"]) {
    const first = rates.second - rates[name].length + 1;
    rates[name].forEach((count, index) => history[name].set(first + index, count));
    for (const second of history[name].keys()) {
      if (second > rates.second - SECONDS) break; // they are in their order, the oldest first
      history[name].delete(second);
    }
  }
  history.second = rates.second;
  history.last = rates.second - (workers > 1 ? 2 : 1);
}

/** What came in each second that is over, and that all workers have told of. */
function series(name) {
  const first = history.last - SECONDS + 2;
  return Array.from({ length: SECONDS - 1 }, (_, index) => history[name].get(first + index) ?? 0);
}

/** What comes in a second now: of the last two that are over and what there is of the present. */
function now(name, part) {
  const at = (second) => history[name].get(second) ?? 0;
  return (at(history.second - 2) + at(history.second - 1) + at(history.second)) / (2 + part);
}

/** The top of a scale: it and its half are round. */
function ceiling(most) {
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((step) => step * power).find((top) => top >= most);
}

function draw(kind, attributes, parent) {
  const element = document.createElementNS(SVG, kind);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  parent.append(element);
  return element;
}

class Chart {
  constructor(id, name, least, format) {
    this.figure = byId(id);
    this.least = least; // of the scale: little looks little
    this.name = name;
    this.format = format;
    this.output = this.figure.querySelector("output");
    const plot = make("div", "plot");
    this.figure.append(plot);
    this.scale = [make("span", "scale top"), make("span", "scale half")];
    this.svg = draw("svg", { viewBox: `0 0 ${SECONDS - 2} 100`, preserveAspectRatio: "none", role: "img" }, plot);
    plot.append(...this.scale);
    for (const y of [0, 50, 100]) {
      draw("line", { class: "grid", x1: 0, x2: SECONDS - 2, y1: y, y2: y }, this.svg);
    }
    for (let x = 58; x < SECONDS - 2; x += 60) {
      draw("line", { class: "grid", x1: x, x2: x, y1: 0, y2: 100 }, this.svg);
    }
    this.area = draw("path", { class: "area" }, this.svg);
    this.line = draw("path", { class: "line" }, this.svg);
    this.failures = draw("path", { class: "failures" }, this.svg);
    this.cursor = draw("line", { class: "cursor", y1: 0, y2: 100, visibility: "hidden" }, this.svg);
    this.at = null;
    this.svg.addEventListener("pointermove", (event) => this.point(event));
    this.svg.addEventListener("pointerleave", () => this.leave());
  }

  show() {
    const values = series(this.name);
    const most = Math.max(...values);
    const top = ceiling(Math.max(most, this.least));
    const points = values.map((value, index) => `${index} ${(100 - (100 * value) / top).toFixed(1)}`);
    this.line.setAttribute("d", `M${points.join("L")}`);
    this.area.setAttribute("d", `M0 100L${points.join("L")}L${SECONDS - 2} 100Z`);
    this.values = values;
    say(this.scale[0], this.format(top).replace(".0 ", " "));
    say(this.scale[1], this.format(top / 2).replace(".0 ", " "));
    this.svg.setAttribute("aria-label", `${this.name} each second: at most ${this.format(most)}`);
    this.tell();
  }

  showFailures() {
    this.failed = series("failures");
    const ticks = this.failed.map((count, second) => (count ? `M${second} 100V84` : ""));
    this.failures.setAttribute("d", ticks.join("") || "M0 0");
  }

  point(event) {
    const box = this.svg.getBoundingClientRect();
    const share = (event.clientX - box.left) / box.width;
    this.at = Math.min(Math.max(Math.round(share * (SECONDS - 2)), 0), SECONDS - 2);
    this.cursor.setAttribute("x1", this.at);
    this.cursor.setAttribute("x2", this.at);
    this.cursor.setAttribute("visibility", "visible");
    this.tell();
  }

  leave() {
    this.at = null;
    this.cursor.setAttribute("visibility", "hidden");
    this.tell();
  }

  tell() {
    const isPointed = this.at !== null && this.values;
    const ago = time(SECONDS - 1 - this.at);
    const failed = isPointed && this.failed?.[this.at];
    const more = failed ? `, ${several(failed, "failure")}` : "";
    say(this.output, isPointed ? `${ago} ago: ${this.format(this.values[this.at])}${more}` : "");
  }
}

const dataChart = new Chart("bytes-chart", "bytes", 1e6, (rate) => `${joined(bytes(rate))}/s`);
const objectChart = new Chart("objects-chart", "objects", 10, (rate) => `${perSecond(rate).replace(/\.0$/, "")} objects/s`);

// Parts of the page -----------------------------------------------------------------------------

function showHead(told) {
  const { server } = told;
  say(byId("title"), server.ae_title || "aiodicom");
  const ports = [...new Set(server.addresses.map(([, port]) => port))];
  const where = ports.length ? `port${ports.length > 1 ? "s" : ""} ${ports.join(", ")}` : "";
  const since = server.since === null ? "" : `up ${time(told.time - server.since)}`;
  say(byId("where"), [where, since].filter(Boolean).join(" · "));
  say(byId("version"), `aiodicom ${told.version}`);
}

/** Why there is no room, in few words. */
function whyNot({ lacking, storage }) {
  return lacking && lacking === storage?.lacking ? "too little room" : lacking;
}

function stateOf(told) {
  if (!told.server.is_listening) return told.server.since === null ? ["wait", "Starting"] : ["warn", "Stopping"];
  if (told.lacking) return ["bad", `Not ready: ${whyNot(told)}`];
  return now("bytes", told.part) ? ["good", "Receiving"] : ["good", "Ready"];
}

function showState([kind, text]) {
  const state = byId("state");
  state.dataset.is = kind;
  say(state, text);
  document.body.classList.toggle("lost", text === "Connection lost");
}

/** A quantile of a histogram: the bound of the bucket that it is in. */
function quantile({ counts, bounds }, share) {
  const wanted = share * counts.reduce((sum, count) => sum + count, 0);
  let sum = 0;
  for (const [index, count] of counts.entries()) {
    sum += count;
    if (sum >= wanted) return bounds[index] ?? null;
  }
  return null;
}

function showLatency(settled) {
  const total = settled.counts.reduce((sum, count) => sum + count, 0);
  const bound = quantile(settled, 0.99);
  const most = bound === null ? `> ${joined(short(settled.bounds.at(-1)))}` : `≤ ${joined(short(bound))}`;
  const mean = total ? short(settled.sum / total) : ["–", ""];
  sayNumber(byId("latency"), mean);
  say(byId("latency-worst"), total ? `99 %: ${most}` : "no object yet");
}

const settledBefore = []; // what it was in the last minute, the oldest first

/** What was counted in the last minute; where that is nothing, all of it. */
function lately(settled, clock) {
  settledBefore.push({ clock, settled });
  while (settledBefore[0].clock < clock - 60) settledBefore.shift();
  const then = settledBefore[0].settled;
  const counts = settled.counts.map((count, index) => count - then.counts[index]);
  return counts.some(Boolean) ? { ...settled, counts, sum: settled.sum - then.sum } : settled;
}

function showStorage(storage, lacking, why) {
  byId("storage").hidden = storage === null && !lacking;
  byId("storage").classList.toggle("short", Boolean(lacking));
  if (storage === null) {
    say(byId("free"), "?");
    say(byId("free-of"), lacking);
    return;
  }
  sayNumber(byId("free"), bytes(storage.free_bytes));
  const used = storage.total_bytes ? 1 - storage.free_bytes / storage.total_bytes : 1;
  const all = `of ${joined(bytes(storage.total_bytes))}`;
  say(byId("free-of"), `${lacking ? why : all} · ${Math.floor(100 * used)} % used`);
  byId("free-of").title = lacking || all;
  byId("used").style.width = `${100 * used}%`;
}

function makeRow() {
  const row = make("tr");
  for (const kind of ["from", "what", "right rate", "right objects", "right data", "right time"]) {
    row.append(make("td", kind));
  }
  row.children[0].append(make("b"), " ", make("span"));
  const bar = make("div", "bar");
  bar.append(make("div"));
  row.children[2].append(make("span"), bar);
  return row;
}

function showRow(row, sender, clock, fastest) {
  const [from, what, rate, objects, data, since] = row.children;
  say(from.children[0], sender.calling_ae_title);
  say(from.children[1], `→ ${sender.called_ae_title} · ${sender.address}`);
  say(what, sender.sop_class || "nothing yet");
  say(rate.children[0], `${joined(bytes(sender.bytes_per_second))}/s`);
  rate.querySelector(".bar div").style.width = `${(100 * sender.bytes_per_second) / fastest}%`;
  say(objects, whole(sender.objects));
  say(data, joined(bytes(sender.bytes)));
  say(since, time(clock - sender.since));
  row.classList.toggle("quiet", !sender.bytes_per_second && !sender.running);
}

/** How fast somebody sends, roughly: rows that are about as fast keep their places. */
const speed = (sender) => Math.floor(2 * Math.log10(sender.bytes_per_second + 1));

function inOrder(senders) {
  const name = (sender) => `${sender.calling_ae_title} ${sender.since}`;
  return [...senders].sort((a, b) => speed(b) - speed(a) || (name(a) < name(b) ? -1 : 1));
}

function showSending(told) {
  const fastest = Math.max(1, ...told.busiest.map((each) => each.bytes_per_second));
  const show = (row, sender) => showRow(row, sender, told.time, fastest);
  const head = byId("sending").tHead;
  fill(byId("sending").tBodies[0], inOrder(told.busiest), makeRow, show);
  head.hidden = !told.busiest.length;
  byId("nobody").hidden = told.busiest.length > 0;
  const hidden = told.associations - told.busiest.length;
  byId("more").hidden = hidden <= 0;
  say(byId("more"), `and ${several(hidden, "more association")}`);
}

function makeProblem() {
  const item = make("li");
  item.append(make("span", "text"), make("span", "ago muted"), make("span", "peer muted"), make("span", "times-seen right"));
  return item;
}

function showProblems(problems, clock) {
  fill(byId("problems"), problems, makeProblem, (item, problem) => {
    const [text, ago, peer, seen] = item.children;
    say(text, problem.text);
    say(ago, `${time(clock - problem.last)} ago`);
    ago.title = [problem.first, problem.last].map(moment).join(" – ");
    say(peer, [problem.who, problem.address].filter(Boolean).join(" · "));
    say(seen, problem.count > 1 ? `${whole(problem.count)} times` : "");
  });
  byId("no-problem").hidden = problems.length > 0;
}

function showWorkers(workers, restarts) {
  byId("workers-card").hidden = workers.length < 2;
  const create = () => {
    const row = make("tr");
    row.append(make("td"), make("td", "right"), make("td", "right"), make("td", "right"));
    return row;
  };
  const rows = workers.map((worker, index) => [
    `${index + 1}${worker.is_listening ? "" : " (not serving)"}`,
    whole(worker.associations),
    whole(worker.running),
    whole(worker.objects),
  ]);
  fill(byId("workers").tBodies[0], rows, create, (row, texts) => {
    texts.forEach((text, index) => say(row.children[index], text));
  });
  byId("restarts").hidden = !restarts;
  say(byId("restarts"), `${several(restarts, "worker")} died and ${restarts === 1 ? "was" : "were"} replaced.`);
}

function show(told) {
  const rate = bytes(now("bytes", told.part));
  const objectRate = now("objects", told.part);
  showHead(told);
  showState(stateOf(told));
  sayNumber(byId("rate"), [rate[0], `${rate[1]}/s`]);
  say(byId("object-rate"), `${perSecond(objectRate)} objects/s`);
  sayNumber(byId("associations"), [whole(told.associations), ""]);
  const active = told.busiest.filter((each) => each.bytes_per_second || each.running).length;
  say(byId("running"), active ? `${active}${active === 100 ? " or more" : ""} sending` : "nobody is sending");
  sayNumber(byId("objects"), [whole(told.totals.objects), told.totals.objects === 1 ? "object" : "objects"]);
  say(byId("since"), `${joined(bytes(told.totals.bytes))} received`);
  showLatency(lately(told.totals.settled, told.time));
  showStorage(told.storage, told.lacking, whyNot(told));
  dataChart.show();
  objectChart.showFailures();
  objectChart.show();
  showSending(told);
  showProblems(told.problems, told.time);
  showWorkers(told.workers, told.restarts);
  const title = `${told.running ? `${joined(rate)}/s · ` : ""}${told.server.ae_title || "aiodicom"}`;
  if (document.title !== title) document.title = title;
}

// Asking ----------------------------------------------------------------------------------------

let since; // when the server began that we know
let timer = 0;
let lostAt = null;

async function ask() {
  const after = history.second ? history.second - STRETCH : 0;
  const answer = await fetch(`live?after=${after}`, { signal: AbortSignal.timeout(PATIENCE) });
  if (!answer.ok) throw new Error(`answered ${answer.status}`);
  return answer.json();
}

async function turn() {
  clearTimeout(timer);
  let wait = EVERY;
  try {
    const told = await ask();
    if (history.second && (told.server.since !== since || told.rates.second < history.second - STRETCH)) {
      forget(); // it is another one: ask for all of its seconds
      wait = 0;
    } else {
      remember(told.rates, told.workers.length);
      show(told);
    }
    since = told.server.since;
    lostAt = null;
  } catch {
    lostAt ??= Date.now();
    showState(["bad", "Connection lost"]);
    say(byId("where"), `for ${time((Date.now() - lostAt) / 1000)}; it is tried again every second`);
    wait = AGAIN;
  }
  clearTimeout(timer);
  if (!document.hidden) timer = setTimeout(turn, wait);
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) clearTimeout(timer);
  else turn();
});

turn();
