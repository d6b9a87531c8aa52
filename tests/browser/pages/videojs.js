// video.js with videojs-contrib-eme, which takes the license URL of a key system from the source that is played.
import { fail, load, options, start, video } from "./trial.js";

await load();
video.className = "video-js";
const player = videojs(video, { controls: false, html5: { vhs: { overrideNative: true } } });
player.eme();
const told = () => {
  const error = player.error();
  if (error) {
    fail({ code: error.code, message: error.message });
  }
};
player.on("error", told);
player.tech().on("error", told);
const source = { src: options.get("manifest") };
source.type = source.src.endsWith(".mpd") ? "application/dash+xml" : "application/vnd.apple.mpegurl";
if (options.get("license")) {
  source.keySystems = { "org.w3.clearkey": options.get("license") };
}
player.src(source);
start();
