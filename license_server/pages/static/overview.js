// Ask again for the part that changes: every two seconds, and not while nobody looks.
const now = document.getElementById("now");
const live = document.getElementById("live");

async function refresh() {
  if (document.hidden) {
    return;
  }
  try {
    const answer = await fetch(now.dataset.from, { redirect: "manual" });
    if (!answer.ok) {
      throw new Error(answer.type === "opaqueredirect" ? "the session is over: reload to sign in" : `${answer.status}`);
    }
    now.innerHTML = await answer.text(); // of this server, escaped there
    live.textContent = "";
  } catch (error) {
    live.textContent = `not live: ${error.message}`;
  }
}

setInterval(refresh, 2000);
