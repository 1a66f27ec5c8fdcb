// Keeps the page up to date: each event names the sections that changed. Without this file the page is as it was loaded.
const live = document.getElementById("live");
const RETRY_MS = 30_000;
let source = null;
let retry = 0;

function say(text, state) {
  if (live.textContent !== text) live.textContent = text;
  live.dataset.state = state;
}

const clock = () => new Date().toISOString().slice(11, 19);

/** What is replaced may hold the keyboard's focus: it goes to the element of the same name, or the same address. */
function replace(element, text) {
  const focused = element.contains(document.activeElement) ? document.activeElement : null;
  const id = focused?.id;
  const href = focused?.getAttribute("href");
  element.innerHTML = text;
  if (focused === null) return;
  const again = id
    ? document.getElementById(id)
    : [...element.querySelectorAll("a")].find((link) => link.getAttribute("href") === href);
  again?.focus({ preventScroll: true });
}

function show(sections) {
  for (const [id, text] of Object.entries(sections)) {
    if (id === "title") document.title = text;
    else if (id === "tone") document.getElementById("verdict").dataset.tone = text;
    else {
      const element = document.getElementById(id);
      if (element !== null) replace(element, text);
    }
  }
}

function open() {
  clearTimeout(retry);
  if (source !== null || document.hidden) return;
  source = new EventSource(document.body.dataset.events);
  source.addEventListener("open", () => say("Live", "on"));
  source.addEventListener("page", (event) => {
    show(JSON.parse(event.data));
    say("Live", "on");
  });
  source.addEventListener("error", () => {
    // Closed: it was refused, and doesn't try again by itself.
    if (source.readyState === EventSource.CLOSED) {
      close();
      say(`Not live since ${clock()} UTC; reload, or wait`, "off");
      retry = setTimeout(open, RETRY_MS);
    } else if (live.dataset.state !== "off") say(`Not live since ${clock()} UTC; trying again`, "off");
  });
}

function close() {
  clearTimeout(retry);
  source?.close();
  source = null;
}

// Nobody watches a page that is hidden, and there are few places.
document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
addEventListener("pagehide", close);
addEventListener("pageshow", open);
open();
