// Watch: Shaka Player, with what EME does, what is asked of the license server, and what it answers.
import { trace } from "./eme_trace.js";

const $ = (id) => document.getElementById(id);
const video = $("video");
let began = performance.now();
let fault = "";
let player = null;

if (!window.isSecureContext || !navigator.requestMediaKeySystemAccess) {
  $("insecure").hidden = false;
  for (const control of document.querySelectorAll("#choice button, #faults button")) {
    control.disabled = true;
  }
} else if (video) {
  start();
}

function start() {
  shaka.polyfill.installAll();
  trace(video, tell, setStatus);
  $("choice").addEventListener("submit", (event) => {
    event.preventDefault();
    play();
  });
  for (const button of document.querySelectorAll("[data-fault]")) {
    button.addEventListener("click", () => {
      fault = button.dataset.fault;
      for (const each of document.querySelectorAll("[data-fault]")) {
        each.setAttribute("aria-pressed", String(each === button));
      }
      play();
    });
  }
  setInterval(measure, 500);
}

async function play() {
  if (player) {
    await player.destroy();
  }
  began = performance.now();
  for (const id of ["statuses", "timeline", "exchanges"]) {
    $(id).replaceChildren();
  }
  $("error").hidden = true;
  $("system").textContent = "–";
  player = new shaka.Player();
  player.addEventListener("error", (event) => failed(event.detail));
  await player.attach(video);
  const network = player.getNetworkingEngine();
  network.registerRequestFilter(asked);
  network.registerResponseFilter(answered);
  try {
    await player.load($("choice").elements.manifest.value);
    $("system").textContent = player.keySystem() || "none: the film is clear";
    await video.play();
  } catch (error) {
    failed(error);
  }
}

// ---------------------------------------------------------------------------------------------- what is shown
function tell(what, detail, isTrouble = false) {
  const row = document.createElement("li");
  const time = document.createElement("time");
  const words = document.createElement("bdi"); // of a film or a server: whichever way it is written
  time.textContent = `${Math.round(performance.now() - began)} ms`;
  words.textContent = detail ? `${what}: ${detail}` : what;
  words.classList.toggle("trouble", isTrouble);
  row.append(time, words);
  const list = $("timeline");
  list.append(row);
  list.scrollTop = list.scrollHeight;
}

function setStatus(kid, status) {
  const found = $("statuses").querySelector(`[data-kid="${kid}"]`);
  const row = found || document.createElement("li");
  const name = document.createElement("span");
  const chip = document.createElement("span");
  row.dataset.kid = kid;
  name.className = "mono";
  name.textContent = kid;
  chip.className = `chip ${status === "usable" ? "ok" : status === "status-pending" ? "warn" : "bad"}`;
  chip.textContent = status;
  row.replaceChildren(name, chip);
  if (!found) {
    $("statuses").append(row);
  }
}

function measure() {
  if (player && video.readyState) {
    const { totalVideoFrames, droppedVideoFrames } = video.getVideoPlaybackQuality();
    $("played").textContent = `${video.currentTime.toFixed(1)} of ${(video.duration || 0).toFixed(1)} s`;
    $("frames").textContent = `${totalVideoFrames} decoded, ${droppedVideoFrames} dropped`;
  }
}

function exchange(title, text) {
  const made = document.createElement("div");
  const head = document.createElement("p");
  head.dir = "auto";
  const body = document.createElement("pre");
  made.className = "exchange";
  head.textContent = title;
  body.textContent = text;
  body.tabIndex = 0;
  body.dir = "auto";
  made.append(head, body);
  $("exchanges").append(made);
  $("exchanges").scrollTop = $("exchanges").scrollHeight;
}

function masked(text) {
  try {
    const whole = JSON.parse(text);
    for (const key of whole.keys || []) {
      key.k = "•".repeat(6);
    }
    return JSON.stringify(whole);
  } catch {
    return text.slice(0, 2000); // no JSON, so no key in the form of one
  }
}

const text = (data) => new TextDecoder().decode(data || new Uint8Array());

function asked(type, request) {
  if (type === shaka.net.NetworkingEngine.RequestType.LICENSE) {
    if (fault) {
      const url = new URL(request.uris[0]);
      url.searchParams.set("fault", fault);
      request.uris = [url.href];
    }
    exchange(`POST ${request.uris[0]}`, masked(text(request.body)));
  }
}

function answered(type, response) {
  if (type === shaka.net.NetworkingEngine.RequestType.LICENSE) {
    exchange(`${response.status || 200} from ${new URL(response.uri).host}`, masked(text(response.data)));
  }
}

function failed(error) {
  if (error.code === shaka.util.Error.Code.LOAD_INTERRUPTED) {
    return;
  }
  const inner = (error.data || []).find((each) => each && each.code) || error;
  const [, status, body] = Array.isArray(inner.data) ? inner.data : [];
  let said = "";
  if (error.code === shaka.util.Error.Code.LICENSE_REQUEST_FAILED) {
    exchange(status ? `${status} from ${new URL(inner.data[0]).host}` : "no answer", masked(String(body || "the browser gave the page nothing to read")));
    try {
      const { title, detail } = JSON.parse(body);
      said = `: ${title} (${detail})`;
    } catch {
      said = status ? `: the server answered ${status}` : ": no answer could be read";
    }
  }
  $("error").textContent = `Shaka Player error ${error.code}${said || (error.message ? `: ${error.message}` : "")}`;
  $("error").hidden = false;
  tell("player error", `${error.code}`, true);
}
