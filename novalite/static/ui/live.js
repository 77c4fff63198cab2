// Live pages: the server tells what has changed, htmx asks for it anew, and screen readers hear of new states.
(() => {
  const where = document.body.dataset.live;
  const lost = document.getElementById("link-lost");
  const announcer = document.getElementById("announcer");
  let known = states();

  function tell(name) {
    document.body.dispatchEvent(new CustomEvent(name));
  }

  function states() {
    const found = new Map();
    for (const item of document.querySelectorAll("[data-status]")) {
      found.set(item.id, { name: item.dataset.name, status: item.dataset.status });
    }
    return found;
  }

  function announceChanges() {
    const now = states();
    const changes = [];
    for (const [id, { name, status }] of now) {
      if (known.get(id)?.status !== status) changes.push(`${name} is ${status}`);
    }
    for (const [id, { name }] of known) {
      if (!now.has(id)) changes.push(`${name} is gone`);
    }
    known = now;
    if (changes.length) announcer.textContent = changes.join(". ");
  }

  let warning = 0;
  let events = null;

  function listen() {
    if (document.hidden || events) return;
    events = new EventSource(where);
    events.addEventListener("open", () => {
      clearTimeout(warning);
      lost.hidden = true;
      tell("live-resync"); // changes may have been missed since the page was made
    });
    events.addEventListener("change", (event) => {
      const { topic, id } = JSON.parse(event.data);
      tell(`live-${topic}`);
      tell(`live-${topic}-${id}`);
    });
    events.addEventListener("error", () => {
      clearTimeout(warning);
      warning = setTimeout(() => { lost.hidden = false; }, 4000); // it ends now and then by itself
      if (events?.readyState === EventSource.CLOSED) {
        stop();
        tell("live-resync"); // without a session this leads to the login
        setTimeout(listen, 10000);
      }
    });
  }

  function stop() {
    events?.close();
    events = null;
  }

  // A browser has few connections for one site: pages that nobody looks at must not hold them.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) stop();
    else listen();
  });
  document.addEventListener("DOMContentLoaded", listen); // after htmx, which has to hear what is told
  window.addEventListener("pagehide", stop);
  window.addEventListener("pageshow", listen);

  setInterval(() => {
    if (document.getElementById("follow")?.checked && !document.hidden) tell("log-tick");
  }, 3000);

  document.addEventListener("htmx:before:swap", () => {
    for (const tail of document.querySelectorAll("[data-tail]")) {
      tail.wasAtEnd = tail.scrollHeight - tail.scrollTop - tail.clientHeight < 40;
    }
  });
  document.addEventListener("htmx:after:swap", () => {
    announceChanges();
    for (const tail of document.querySelectorAll("[data-tail]")) {
      if (tail.wasAtEnd ?? true) tail.scrollTop = tail.scrollHeight;
    }
  });
  document.addEventListener("submit", () => document.getElementById("alerts").replaceChildren());
})();
