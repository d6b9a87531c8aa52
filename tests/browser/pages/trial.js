// What every player's page shares: the options of the trial, and what tests read of it.
export const options = new URLSearchParams(location.search);
export const video = document.querySelector("video");

const trial = { errors: [], unhandled: [], statuses: {} };
window.trial = trial;

export function fail(error) {
  trial.errors.push(error);
}

export function start() {
  video.muted = true;
  video.defaultPlaybackRate = Number(options.get("rate") || 1);
  video.playbackRate = video.defaultPlaybackRate;
  video.play().catch(() => {}); // it plays once there is something to play
}

// Loads the scripts of the player, as its users do: one after another, each a classic script.
export async function load() {
  for (const source of options.getAll("script")) {
    const script = document.createElement("script");
    script.src = source;
    const loaded = new Promise((resolve, reject) => {
      script.onload = resolve;
      script.onerror = () => reject(new Error(`no ${source}`));
    });
    document.head.append(script);
    await loaded;
  }
}

// The license of a request, as a page fetches it by hand.
export async function license(url, message) {
  const answer = await fetch(url, { method: "POST", body: message }); // no Content-Type: EME names none
  if (!answer.ok) {
    throw new Error(`${answer.status} ${await answer.text()}`);
  }
  return answer.arrayBuffer();
}

window.measured = () => {
  const quality = video.getVideoPlaybackQuality();
  return {
    time: video.currentTime,
    frames: quality.totalVideoFrames - quality.droppedVideoFrames,
    decoded: quality.totalVideoFrames,
    error: video.error && `${video.error.code} ${video.error.message}`,
    errors: trial.errors,
    unhandled: trial.unhandled,
    statuses: trial.statuses,
  };
};

// Key statuses by KID in hex, whichever player made the session.
const createSession = window.MediaKeys && MediaKeys.prototype.createSession;
if (createSession) {
  MediaKeys.prototype.createSession = function (...words) {
    const session = createSession.apply(this, words);
    session.addEventListener("keystatuseschange", () => {
      for (const [kid, status] of session.keyStatuses) {
        trial.statuses[[...new Uint8Array(kid)].map((byte) => byte.toString(16).padStart(2, "0")).join("")] = status;
      }
    });
    return session;
  };
}

// Players leave some unhandled and play on: it is told only where nothing plays.
window.addEventListener("unhandledrejection", ({ reason }) => trial.unhandled.push(String(reason)));
