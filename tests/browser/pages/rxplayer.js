// rx-player takes a function that fetches licenses, and no license URL from a manifest.
import { fail, license, options, start, video } from "./trial.js";

const { default: RxPlayer } = await import(options.get("script"));
const player = new RxPlayer({ videoElement: video });
player.addEventListener("error", (error) => fail({ code: error.code, message: error.message }));
player.loadVideo({
  url: options.get("manifest"),
  transport: "dash",
  autoPlay: true,
  keySystems: options.get("license")
    ? [{ type: "clearkey", getLicense: (challenge) => license(options.get("license"), challenge) }]
    : [],
});
start();
