// No player at all: EME and MSE as a page uses them by hand. The MPD says which files, which codecs and which server.
import { fail, license, options, start, video } from "./trial.js";

const manifest = new URL(options.get("manifest"), location.href);

async function play() {
  const text = await (await fetch(manifest)).text();
  const mpd = new DOMParser().parseFromString(text, "text/xml");
  const url = mpd.getElementsByTagNameNS("*", "Laurl")[0].textContent;
  const tracks = [...mpd.querySelectorAll("Representation")].map((representation) => ({
    type: `${representation.getAttribute("mimeType") || representation.parentNode.getAttribute("mimeType")}; codecs="${
      representation.getAttribute("codecs") || representation.parentNode.getAttribute("codecs")
    }"`,
    file: representation.querySelector("BaseURL").textContent,
  }));
  const of = (kind) =>
    tracks.filter(({ type }) => type.startsWith(kind)).map(({ type }) => ({ contentType: type, encryptionScheme: options.get("scheme") }));
  const capabilities = { initDataTypes: ["cenc", "keyids"], videoCapabilities: of("video") };
  if (of("audio").length) {
    capabilities.audioCapabilities = of("audio");
  }
  const access = await navigator.requestMediaKeySystemAccess("org.w3.clearkey", [capabilities]);
  const keys = await access.createMediaKeys();
  await video.setMediaKeys(keys);
  const asked = new Set(); // every track says the same, and one session holds all keys
  video.addEventListener("encrypted", async ({ initDataType, initData }) => {
    const said = new Uint8Array(initData).join();
    if (asked.has(said)) {
      return;
    }
    asked.add(said);
    const session = keys.createSession();
    session.addEventListener("message", async ({ message }) => {
      try {
        await session.update(await license(url, message));
      } catch (error) {
        fail({ code: error.name, message: error.message });
      }
    });
    await session.generateRequest(initDataType, initData);
  });
  const source = new MediaSource();
  video.src = URL.createObjectURL(source);
  await new Promise((resolve) => source.addEventListener("sourceopen", resolve, { once: true }));
  const buffers = tracks.map(({ type }) => source.addSourceBuffer(type));
  await Promise.all(
    tracks.map(async ({ file }, at) => {
      const media = await (await fetch(new URL(file, manifest))).arrayBuffer();
      const done = new Promise((resolve) => buffers[at].addEventListener("updateend", resolve, { once: true }));
      buffers[at].appendBuffer(media);
      await done;
    }),
  );
  source.endOfStream();
  start();
}

play().catch((error) => fail({ code: error.name, message: error.message }));
