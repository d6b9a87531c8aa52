// dash.js. Without a license URL all that it knows comes from the manifest.
import { fail, load, options, start, video } from "./trial.js";

await load();
const player = dashjs.MediaPlayer().create();
player.updateSettings({ debug: { logLevel: dashjs.Debug.LOG_LEVEL_NONE } });
player.on(dashjs.MediaPlayer.events.ERROR, ({ error }) =>
  fail({ code: error.code, message: error.message, response: error.data && error.data.serverResponse }),
);
player.initialize(video, undefined, true);
if (options.get("license")) {
  player.setProtectionData({ "org.w3.clearkey": { serverURL: options.get("license") } });
}
player.attachSource(options.get("manifest"));
start();
