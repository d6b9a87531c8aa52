// All that EME does on this page, told to `tell(what, detail, isTrouble)`: hook the doors that every player goes through.
const hex = (bytes) => [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, "0")).join("");

export function trace(video, tell, setStatus) {
  const request = navigator.requestMediaKeySystemAccess.bind(navigator);
  navigator.requestMediaKeySystemAccess = async (system, configurations) => {
    try {
      const access = await request(system, configurations);
      tell("key system", `${system} is there`);
      return access;
    } catch (error) {
      tell("key system", `${system}: ${error.name}`, true);
      throw error;
    }
  };
  const createSession = MediaKeys.prototype.createSession;
  MediaKeys.prototype.createSession = function (...words) {
    const session = createSession.apply(this, words);
    const { generateRequest, update, close } = session;
    tell("createSession", words[0] || "temporary");
    session.generateRequest = (type, data) => {
      tell("generateRequest", `${type}, ${data.byteLength} bytes`);
      return generateRequest.call(session, type, data);
    };
    session.update = async (license) => {
      tell("update", `${license.byteLength} bytes`);
      try {
        return await update.call(session, license);
      } catch (error) {
        tell("update", `${error.name}: ${error.message}`, true);
        throw error;
      }
    };
    session.close = () => {
      tell("close", session.sessionId);
      return close.call(session);
    };
    session.addEventListener("message", ({ messageType, message }) =>
      tell("message", `${messageType}, ${message.byteLength} bytes`));
    session.addEventListener("keystatuseschange", () => {
      for (const [kid, status] of session.keyStatuses) {
        tell("key status", `${hex(kid)}: ${status}`, status !== "usable");
        setStatus(hex(kid), status);
      }
    });
    return session;
  };
  video.addEventListener("encrypted", ({ initDataType, initData }) =>
    tell("encrypted", `${initDataType}, ${initData ? initData.byteLength : 0} bytes`));
  for (const type of ["waitingforkey", "playing", "stalled", "ended"]) {
    video.addEventListener(type, () => tell(type, ""));
  }
  video.addEventListener("error", () => tell("media error", video.error ? `${video.error.code} ${video.error.message}` : "", true));
}
