// dash.js. Without a license URL all that it knows comes from the manifest. Version 3 sends "[object Object]" as the
// license request: with `request` the page puts it right.
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
if (options.has("request")) {
  player.registerLicenseRequestFilter(async (request) => {
    request.data = JSON.stringify(request.data);
  });
}
player.attachSource(options.get("manifest"));
start();
