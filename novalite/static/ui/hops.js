// The way from this browser to the guest, hop by hop, and which one fails.
const GONE_AWAY = 1001, REVOKED = 4403, UNREACHABLE = 4502;

export function consoleToken() {
  const query = new URLSearchParams(location.search);
  const nested = new URLSearchParams((query.get("path") || "").replace(/^[^?]*\?/, ""));
  return query.get("token") || nested.get("token") || "";
}

// Always this site's own address, so that proxies and other ports need no settings.
export function socketAddress() {
  const address = new URL("websocket", location.href);
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  address.search = new URLSearchParams({ token: consoleToken() });
  address.hash = "";
  return address.href;
}

export class Hops {
  constructor(page) {
    this.page = page;
    this.status = page.querySelector("[role=status]");
    this.list = page.querySelector(".hops");
    this.name = page.dataset.server;
    this.hasFailed = false;
  }

  say(text, state) {
    this.status.textContent = text;
    this.page.dataset.state = state;
  }

  connecting() {
    this.hasFailed = false;
    this.list.hidden = true;
    this.say("Connecting …", "connecting");
  }

  connected() {
    this.say(`Connected to ${this.name}`, "connected");
  }

  // Everything before the failing hop works, nothing is known of those behind it.
  failed(hop, text) {
    this.hasFailed = true;
    let seen = false;
    for (const item of this.list.children) {
      const isThis = item.dataset.hop === hop;
      item.dataset.ok = isThis ? "no" : seen ? "unknown" : "yes";
      item.querySelector("small").textContent = isThis ? text : seen ? "not reached" : "works";
      seen ||= isThis;
    }
    this.list.hidden = false;
    this.say(text, "failed");
  }

  // Whether connecting again may help.
  async closed(opened, event) {
    if (this.hasFailed) return false;
    if (event.code === UNREACHABLE) this.failed("guest", event.reason);
    else if (event.code === REVOKED) this.failed("token", event.reason);
    else if (event.code === GONE_AWAY) this.failed("service", event.reason);
    else if (opened && event.reason) this.say(`Console closed. ${event.reason}`, "closed");
    else return this.ask();
    return false;
  }

  // The browser tells a page nothing about a refused WebSocket, so the page asks.
  async ask() {
    let answer;
    try {
      const response = await fetch(`check?${new URLSearchParams({ token: consoleToken() })}`);
      answer = await response.json();
    } catch {
      this.failed("service", "NovaLite does not answer this browser. Is it running, and is the network up?");
      return true;
    }
    if (answer.hop) this.failed(answer.hop, answer.text);
    else this.say("The connection was lost; the guest is well. Reconnect to go on.", "closed");
    return !answer.hop;
  }
}

// Connects again by itself after a loss, a few times and ever later.
export class Retry {
  constructor(connect) {
    this.connect = connect;
    this.succeeded();
  }

  succeeded() {
    clearTimeout(this.timer);
    this.losses = 0;
  }

  lost() {
    this.losses += 1;
    clearTimeout(this.timer);
    if (this.losses <= 6) this.timer = setTimeout(this.connect, 500 * 2 ** this.losses);
  }

  now() {
    clearTimeout(this.timer);
    this.connect();
  }
}
