// dash.js without a word about DRM: all that it knows comes from the manifest.
import { fail, options, start, video } from "./trial.js";

const player = dashjs.MediaPlayer().create();
player.updateSettings({ debug: { logLevel: dashjs.Debug.LOG_LEVEL_NONE } });
player.on(dashjs.MediaPlayer.events.ERROR, ({ error }) =>
  fail({ code: error.code, message: error.message, response: error.data && error.data.serverResponse }),
);
player.initialize(video, options.get("manifest"), true);
start();
