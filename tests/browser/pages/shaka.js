// Shaka Player. Without a license URL all that it knows comes from the manifest.
import { fail, load, options, start, video } from "./trial.js";

await load();
shaka.polyfill.installAll();
const player = new shaka.Player();
const told = (error) => fail({ code: error.code, category: error.category, data: plain(error.data) });

// An error holds others, and their data are what a server said.
function plain(data) {
  return JSON.parse(
    JSON.stringify(data ?? [], (_name, value) => (value && value.code ? { code: value.code, data: value.data } : value)),
  );
}

player.addEventListener("error", (event) => told(event.detail));
if (options.get("license")) {
  player.configure({ drm: { servers: { "org.w3.clearkey": options.get("license") } } });
}
if (options.get("keys")) {
  player.configure({ drm: { clearKeys: JSON.parse(options.get("keys")) } });
}
await player.attach(video);
try {
  await player.load(options.get("manifest"));
  start();
} catch (error) {
  told(error);
}
