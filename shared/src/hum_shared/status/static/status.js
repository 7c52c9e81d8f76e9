// Keeps the page up to date: on every event it is fetched again, and what differs is changed in place, so that
// focus, selection, scroll position and opened logs stay as they are.
"use strict";

(() => {
  const MIN_INTERVAL_MS = 1500;
  const live = document.getElementById("live");
  const said = document.getElementById("said");
  let pending = false;
  let busy = false;
  let last = Date.now();

  const key = (node) => (node.nodeType === Node.ELEMENT_NODE ? node.getAttribute("data-key") : null);

  function morphAttributes(now, next) {
    for (const { name } of [...now.attributes]) {
      if (!next.hasAttribute(name) && name !== "open") now.removeAttribute(name);
    }
    for (const { name, value } of next.attributes) {
      if (name !== "open" && now.getAttribute(name) !== value) now.setAttribute(name, value);
    }
  }

  function morph(now, next) {
    if (now.nodeType === Node.TEXT_NODE) {
      if (now.data !== next.data) now.data = next.data;
      return;
    }
    morphAttributes(now, next);
    if (now.nodeName === "FORM") return; // what a person is about to choose stays
    const keyed = new Map();
    for (const child of now.childNodes) if (key(child)) keyed.set(key(child), child);
    let place = now.firstChild;
    for (const wanted of [...next.childNodes]) {
      const name = key(wanted);
      const same = name ? keyed.get(name) : place;
      if (same && same.nodeType === wanted.nodeType && same.nodeName === wanted.nodeName && key(same) === name) {
        if (same === place) place = place.nextSibling;
        else now.insertBefore(same, place);
        morph(same, wanted);
      } else {
        now.insertBefore(document.importNode(wanted, true), place);
      }
    }
    while (place) {
      const after = place.nextSibling;
      place.remove();
      place = after;
    }
  }

  const nBad = (root) => Number(root.querySelector("#top")?.dataset.bad ?? 0);

  async function refresh() {
    if (busy || document.hidden) return;
    busy = true;
    pending = false;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      const next = new DOMParser().parseFromString(await answer.text(), "text/html");
      const more = nBad(next) - nBad(document);
      morph(document.getElementById("main"), next.getElementById("main"));
      document.title = next.title;
      live.textContent = next.getElementById("live").textContent.replace("as of", "live, as of");
      live.className = "live on";
      if (more > 0) said.textContent = `${more} more to look at, ${nBad(document)} in all`;
    } catch (error) {
      live.textContent = "no connection, trying again";
      live.className = "live off";
    } finally {
      last = Date.now();
      busy = false;
      if (pending) schedule();
    }
  }

  function schedule() {
    if (pending && !busy) return;
    pending = true;
    if (!busy) setTimeout(refresh, Math.max(0, last + MIN_INTERVAL_MS - Date.now()));
  }

  const events = new EventSource("/api/events");
  events.addEventListener("change", schedule);
  events.addEventListener("open", () => { live.className = "live on"; });
  events.addEventListener("error", () => {
    live.textContent = "no connection, trying again";
    live.className = "live off";
  });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) schedule(); });
})();
