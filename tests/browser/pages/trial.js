// What every player's page shares: the options of the trial, and what tests read of it.
export const options = new URLSearchParams(location.search);
export const video = document.querySelector("video");

const trial = { errors: [], statuses: {}, timeline: [] };
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

window.measured = () => {
  const quality = video.getVideoPlaybackQuality();
  return {
    time: video.currentTime,
    frames: quality.totalVideoFrames - quality.droppedVideoFrames,
    decoded: quality.totalVideoFrames,
    error: video.error && `${video.error.code} ${video.error.message}`,
    errors: trial.errors,
    statuses: trial.statuses,
  };
};

// Key statuses by KID in hex, whichever player made the session.
const createSession = window.MediaKeys && MediaKeys.prototype.createSession;
if (createSession) {
  MediaKeys.prototype.createSession = function (...words) {
    const session = createSession.apply(this, words);
    trial.timeline.push("createSession");
    session.addEventListener("keystatuseschange", () => {
      for (const [kid, status] of session.keyStatuses) {
        trial.statuses[[...new Uint8Array(kid)].map((byte) => byte.toString(16).padStart(2, "0")).join("")] = status;
      }
    });
    return session;
  };
}
