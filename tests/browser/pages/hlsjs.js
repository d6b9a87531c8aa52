// hls.js has to be told the license URL: it takes none from a playlist.
import { fail, options, start, video } from "./trial.js";

const player = new Hls({
  emeEnabled: true, debug: options.has("debug"),
  drmSystems: { "org.w3.clearkey": { licenseUrl: options.get("license") } },
});
player.on(Hls.Events.ERROR, (_event, data) => {
  if (data.fatal) {
    fail({ code: data.details, response: data.response && data.response.text });
  }
});
player.loadSource(options.get("manifest"));
player.attachMedia(video);
start();
