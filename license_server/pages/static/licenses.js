// Decisions as they come: ask every second for what is newer than the newest row here.
const table = document.getElementById("events");
const body = table && table.tBodies[0];
const live = document.getElementById("live");
const filter = document.getElementById("filter");
const pause = document.getElementById("pause");
const save = document.getElementById("export");
const empty = document.getElementById("empty");
const CHIP = { issued: "ok", refused: "bad", done: "" }; // by what a row tells of
const MOST = 1000; // rows that are kept here
const labels = table ? [...table.tHead.rows[0].cells].map((cell) => cell.textContent) : [];

let newest = null;
let rows = []; // newest first: the event, its row, and what a filter looks in
let paused = false;

function cell(row, words, kind = "") {
  const made = row.insertCell();
  made.dataset.label = labels[row.cells.length - 1];
  made.className = words === "–" ? `${kind} none` : kind;
  made.append(words);
  return made;
}

// What somebody else wrote turns round nothing beside it, whichever way it is written.
function named(words) {
  const made = document.createElement("bdi");
  made.textContent = words;
  return made;
}

function chip(event) {
  const made = document.createElement("span");
  made.className = `chip ${CHIP[event.kind]}`;
  made.textContent = `${event.status || ""} ${event.code.replaceAll("_", " ")}`.trim();
  return made;
}

function kids(event) {
  const made = document.createElement("span");
  event.kids.slice(0, 4).forEach((kid, at) => {
    if (at) {
      made.append(document.createElement("br"));
    }
    const link = document.createElement("a");
    link.href = `/keys/${kid.replaceAll("-", "")}`;
    link.className = "mono";
    link.textContent = kid;
    made.append(link);
  });
  if (event.kids.length > 4) {
    made.append(` and ${event.kids.length - 4} more`);
  }
  return event.kids.length ? made : "–";
}

function add(event, isFresh) {
  const row = body.insertRow(0);
  cell(row, new Date(event.at * 1000).toISOString().slice(0, 19).replace("T", " "));
  cell(row, chip(event));
  cell(row, kids(event));
  cell(row, event.client ? named(event.client) : "–");
  cell(row, event.subject ? named(event.subject) : event.device ? `${event.device.slice(0, 16)}…` : "–");
  cell(row, event.ms.toFixed(2), "number");
  if (isFresh) {
    row.className = "fresh";
  }
  const text = [event.code, event.client, event.subject, event.device, ...event.kids, ...event.kids.map((kid) => kid.replaceAll("-", ""))];
  rows.unshift({ event, row, text: text.join(" ").toLowerCase() });
}

function fits({ event, text }) {
  const { text: wanted, kind } = Object.fromEntries(new FormData(filter));
  return (!kind || kind === event.kind) && text.includes(wanted.trim().toLowerCase());
}

function show() {
  for (const each of rows) {
    each.row.hidden = !fits(each);
  }
  empty.hidden = rows.length > 0;
}

async function ask() {
  if (paused || document.hidden) {
    return;
  }
  try {
    const answer = await fetch(`${table.dataset.from}${newest === null ? "" : `?after=${newest}`}`);
    if (!answer.ok) {
      throw new Error(answer.status === 401 ? "the session is over: reload to sign in" : `${answer.status}`);
    }
    const { events } = await answer.json();
    for (const event of events) {
      add(event, newest !== null);
    }
    newest = events.length ? events[events.length - 1].id : (newest ?? 0);
    for (const old of rows.splice(MOST)) {
      old.row.remove();
    }
    show();
    live.textContent = "live";
  } catch (error) {
    live.textContent = `not live: ${error.message}`;
  }
}

async function poll() {
  await ask();
  setTimeout(poll, 1000);
}

if (table) {
  filter.addEventListener("input", show);
  filter.addEventListener("submit", (event) => event.preventDefault());
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    live.textContent = paused ? "paused" : "live";
  });
  save.addEventListener("click", () => {
    const chosen = rows.filter(fits).map(({ event }) => event);
    save.href = URL.createObjectURL(new Blob([JSON.stringify(chosen, null, 1)], { type: "application/json" }));
  });
  poll();
}
