// hls.js has to be told the license URL: it takes none from a playlist. Before 1.7 it makes no license request for Clear
// Key by itself either: then `request` has the page make it, of the KID that the URI of the key ends in.
import { fail, load, options, start, video } from "./trial.js";

await load();
const clearkey = { licenseUrl: options.get("license") };
if (options.has("request")) {
  clearkey.generateRequest = (_type, _data, { decryptdata }) => {
    const kid = decryptdata.uri.match(/[?&]kid=([0-9a-f]{32})/)[1].match(/../g).map((byte) => parseInt(byte, 16));
    const kids = [btoa(String.fromCharCode(...kid)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")];
    return { initDataType: "keyids", initData: new TextEncoder().encode(JSON.stringify({ kids })).buffer };
  };
}
const player = new Hls({
  emeEnabled: true,
  debug: options.has("debug"),
  drmSystems: options.get("license") ? { "org.w3.clearkey": clearkey } : {},
});
player.on(Hls.Events.ERROR, (_event, data) => {
  if (data.fatal) {
    fail({ code: data.details, message: data.error && data.error.message, response: data.response && data.response.text });
  }
});
player.loadSource(options.get("manifest"));
player.attachMedia(video);
start();
